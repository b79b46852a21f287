"""s2v: a talking face from speech alone, in the voice's own identity and emotion."""

__version__ = "0.1.0"
