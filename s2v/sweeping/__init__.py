"""Sweeps over the search spaces of W&B's files, on this machine alone."""
