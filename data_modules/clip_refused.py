"""The one way a clip is turned away."""


class ClipRefused(Exception):
    """This clip cannot be used; the message is the `reason` of its manifest row."""
