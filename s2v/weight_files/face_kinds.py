"""Kinds of published face networks, as `KIND:FILE` names them. It imports nothing: help texts name them too."""

FACE_KINDS = ("vggface", "senet", "mobilefacenet", "mini_xception", "onnx")

FACE_SOURCES = (
    f"a fit's *.ckpt, or KIND:FILE with KIND one of {', '.join(FACE_KINDS)}; or class:PACKAGE.MODULE.CLASS"
)
"""What `s2v.modules.face_source.load_face_network` takes, in a command's help."""
