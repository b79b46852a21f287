"""Kinds of published face networks, as `KIND:FILE` names them. It imports next to nothing: help texts name them too."""

from s2v.nearest_name import did_you_mean

FACE_KINDS = ("vggface", "senet", "mobilefacenet", "mini_xception", "onnx")


def unknown_kind(kind: str, source: str) -> str:
    """What to say of a source that begins with another kind."""
    kinds = (*FACE_KINDS, "class")
    return (
        f"unknown kind of face network {kind!r} in {source!r}{did_you_mean(kind, kinds)}: expected one of "
        f"{', '.join(kinds)}"
    )


FACE_SOURCES = (
    f"a fit's *.ckpt, or KIND:FILE with KIND one of {', '.join(FACE_KINDS)}; or class:PACKAGE.MODULE.CLASS"
)
"""What `s2v.modules.face_source.load_face_network` takes, in a command's help."""
