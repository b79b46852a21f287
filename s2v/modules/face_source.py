"""Face networks by what a config calls them; only a fit's checkpoint needs Lightning."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from s2v import weights
from s2v.errors import InputError
from s2v.models.face_network import FaceNetwork
from s2v.modules.checkpoint_part import read_checkpoint
from s2v.own_modules import own_class
from s2v.weight_files.face_kinds import unknown_kind
from s2v.weight_files.weight_file import filled, read_state_dict

if TYPE_CHECKING:
    from s2v.modules.face_teacher import FaceTeacher


def load_face_network(source: str) -> "FaceTeacher | FaceNetwork":
    """A face network to learn from or be judged by, in eval mode.

    Args:
        source: a checkpoint of a `FaceTeacher` fit (`*.ckpt`), or published weights as `KIND:FILE` with KIND
            one of vggface, senet, mobilefacenet, mini_xception, onnx. `mobilefacenet:FILE@YUNET.onnx` aligns faces
            by the landmarks of that detector; `onnx:FILE?size=112&mean=127.5&std=128&order=bgr` says how the
            file's network wants its pictures (`s2v.weights.load_onnx`). Or a network of one's own,
            `class:package.module.Class[:FILE]`, whose class is imported: a source is the user's word, from a config or
            a command line, and never read out of a checkpoint.

    Raises:
        InputError: unknown kind, missing or unfit file, no such class.
    """
    kind, _, path = source.partition(":")
    if kind == "class" and path:
        return FaceNetwork(_own_network(path)).eval()
    if path:
        loaders: dict[str, Callable[[str], nn.Module]] = {
            "vggface": weights.load_vggface,
            "senet": weights.load_senet,
            "mobilefacenet": weights.load_mobilefacenet,
            "mini_xception": weights.load_mini_xception,
            "onnx": weights.load_onnx,
        }
        if kind not in loaders:
            raise InputError(unknown_kind(kind, source))
        if kind == "mobilefacenet":
            path, _, detector = path.partition("@")
            return FaceNetwork(weights.load_mobilefacenet(path, detector)).eval()
        return FaceNetwork(loaders[kind](path)).eval()
    # these bring Lightning, whose import takes longer than PyTorch's
    from s2v.modules.face_teacher import FaceTeacher
    from s2v.modules.named_classes import module_from

    kinds = {".hdf5": "mini_xception", ".h5": "mini_xception", ".onnx": "onnx"}
    if told := kinds.get(Path(source).suffix):
        raise InputError(f"{source} is no checkpoint of a fit: say what it holds, {told}:{source}")
    content = read_checkpoint(source, "face teacher")
    if not any(key.startswith("face.network.") for key in content["state_dict"]):
        raise InputError(
            f"{source} is no face teacher: expected a checkpoint of s2v.modules.face_teacher.FaceTeacher"
        )
    return module_from(FaceTeacher, content, source, "face teacher").eval()


def _own_network(source: str) -> nn.Module:
    """`package.module.Class[:FILE]`, made without arguments; the file holds nothing but its state dict."""
    path, _, file = source.partition(":")
    kind = own_class(path, "the face network")
    if not issubclass(kind, nn.Module):
        raise InputError(f"the face network {path} is no torch.nn.Module")
    try:
        network: nn.Module = kind()
    except TypeError as error:
        raise InputError(f"the face network {path} can't be made without arguments: {error}") from error
    return filled(file, network, read_state_dict(file)) if file else network
