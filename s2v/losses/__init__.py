"""The paper's loss functions, each a pure function in a file of its own; no Lightning."""
