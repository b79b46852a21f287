"""Files of weights, others' and our own: what they are called, what is in them, how they are read."""
