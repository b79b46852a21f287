"""What the generator draws on, from speech of any length: each frame's CPC context, nu and mu."""
