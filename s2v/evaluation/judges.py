"""The judges of a test: networks that look at real and generated clips, with the files they came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from s2v.errors import InputError
from s2v.files.file_hash import sha256_of_file
from s2v.metrics.emotion import canonical_emotion
from s2v.metrics.sync_confidence import SyncMode, sync_mode
from s2v.models.evaluation_mode import evaluated
from s2v.models.lip_speech_network import LipSpeechNetwork
from s2v.models.lpips import LPIPS
from s2v.models.mini_xception import FER2013_CLASSES
from s2v.models.pictures_in_parts import in_parts
from s2v.models.senet import FERPLUS_CLASSES
from s2v.weight_files.face_kinds import FACE_KINDS
from s2v.weight_files.weight_file import read_weight_file
from s2v.weight_files.weight_source import file_of_source

if TYPE_CHECKING:
    from s2v.models.fid_inception import FidInception

TRAINED_HERE = "trained by s2v; numbers compare within one report, not with published ones"
PUBLISHED = "published weights"
GIVEN = "an ONNX file; who trained it, the report can't tell"


@dataclass
class FaceJudge:
    """A face network that looks at single frames.

    Args:
        network: faces (B, 3, H, W) RGB 0..255 -> dict with `embedding` (B, D), `logits` (B, C), or both.
        class_names: of the logits; emotions in canonical spelling; empty where unknown.
        source: what the user gave, a path or KIND:PATH.
        sha256: of the file.
        origin: who trained it.
    """

    network: nn.Module
    class_names: list[str]
    source: str
    sha256: str
    origin: str

    @torch.no_grad()
    def look(self, frames: Tensor, output: str) -> Tensor:
        """Frames (T, 3, H, W) uint8 RGB -> one of the network's outputs for each: (T, D) float32 on the CPU.

        Raises:
            InputError: the network has no such output.
        """
        place = next(self.network.parameters(), frames).device  # one made of ONNX may have no parameters
        with evaluated(self.network):
            parts = [self.network(part.to(place)) for part in in_parts(frames, place)]
        if output not in parts[0]:
            raise InputError(f"the judge {self.source} gives no {output}, only {', '.join(parts[0])}")
        return torch.cat([part[output].float().cpu() for part in parts])


@dataclass
class SyncJudge:
    """A SyncNet; the fields are those of `FaceJudge`."""

    network: LipSpeechNetwork
    source: str
    sha256: str
    origin: str

    @property
    def mode(self) -> SyncMode:
        """How clips are scored with it."""
        return sync_mode(self.network)


@dataclass
class PerceptualJudge:
    """An LPIPS; the fields are those of `FaceJudge`."""

    network: LPIPS
    source: str
    sha256: str
    origin: str

    @torch.no_grad()
    def distances(self, systems: Sequence[Tensor], real: Tensor, first: Sequence[int]) -> list[float]:
        """Mean over frames of LPIPS of several systems on one clip: what they share is computed once.

        Args:
            systems: (T, 3, H, W) uint8 each, or (1, 3, H, W), a frame held for all T.
            real: (T, 3, H, W) uint8.
            first: for each system, the frame from which on it is compared.

        Raises:
            InputError: frames below 31 pixels a side.
        """
        network = self.network
        place = next(network.parameters()).device
        held = [network.unit_maps(frames.to(place)) if len(frames) == 1 else None for frames in systems]
        found: list[list[Tensor]] = [[] for _ in systems]
        start = 0
        for seen in in_parts(real, place):
            theirs = network.unit_maps(seen.to(place))
            for frames, still, values in zip(systems, held, found, strict=True):
                mine = still or network.unit_maps(frames[start : start + len(seen)].to(place))
                values.append(network.distance(mine, theirs))
            start += len(seen)
        return [
            float(torch.cat(values)[skipped:].double().mean())
            for values, skipped in zip(found, first, strict=True)
        ]


def load_perceptual_judge(path: str) -> PerceptualJudge:
    """LPIPS from a file of torchvision's AlexNet weights.

    Raises:
        InputError: no such file, or of another network.
    """
    from s2v.weights import load_lpips

    _check_exists(path, "LPIPS' AlexNet")
    network = load_lpips(path).requires_grad_(False)
    _check_numbers(network, path, "LPIPS' AlexNet")
    return PerceptualJudge(network, path, sha256_of_file(path), f"{PUBLISHED} (AlexNet; LPIPS 0.1)")


@dataclass
class FidJudge:
    """The Inception of FID; the fields are those of `FaceJudge`."""

    network: "FidInception"
    source: str
    sha256: str
    origin: str

    @torch.no_grad()
    def features(self, frames: Tensor) -> Tensor:
        """Frames (T, 3, H, W) uint8 RGB -> the features of each, (T, 2048) float32 on the CPU."""
        place = next(self.network.parameters()).device
        return torch.cat([self.network(part.to(place)).cpu() for part in in_parts(frames, place)])


def load_fid_judge(path: str) -> FidJudge:
    """The Inception of FID from a file of its published weights.

    Raises:
        InputError: no such file, or of another network.
    """
    from s2v.weights import FID_FILE, load_fid_inception

    if not Path(path).is_file():
        raise InputError(f"FID's Inception: no file at {path}; fetch {FID_FILE}")
    network = load_fid_inception(path).requires_grad_(False)
    _check_numbers(network, path, "FID's Inception")
    return FidJudge(network, path, sha256_of_file(path), f"{PUBLISHED} (Inception of 2015, as pytorch-fid)")


def load_face_judge(source: str) -> FaceJudge:
    """A face judge from a checkpoint of a `FaceTeacher` fit, or from published weights.

    Args:
        source: `*.ckpt` of a fit; or a file of published weights (VGGFace, SENet-50, MobileFaceNet,
            mini-XCEPTION), whose kind is read from its content or stated as KIND:FILE; or any ONNX face
            network, `onnx:FILE?size=112&...` (`s2v.weights.load_onnx`).

    Raises:
        InputError: no such file, or none of these.
    """
    from s2v.modules.face_source import load_face_network
    from s2v.modules.face_teacher import FaceTeacher

    kind, path = _kind_and_path(source)
    if kind == "class":
        raise InputError(
            f"the face judge: {source} can teach, but judges are files, whose hashes a report states"
        )
    file = file_of_source(path)
    _check_exists(file, "the face judge")
    if kind == "checkpoint":
        network = load_face_network(path)
        if not isinstance(network, FaceTeacher):
            raise InputError(f"{path} is no checkpoint of a face teacher's fit")
        _check_numbers(network, path, "the face judge")
        names = list(network.class_names)
        if network.labels == "emotion":
            names = [canonical_emotion(name) for name in names]
        network.requires_grad_(False)
        return FaceJudge(network, names, source, sha256_of_file(path), TRAINED_HERE)
    face_network = load_face_network(f"{kind}:{path}").requires_grad_(False)
    _check_numbers(face_network, file, "the face judge")
    published = {"mini_xception": FER2013_CLASSES, "senet": FERPLUS_CLASSES}.get(kind, ())
    names = [canonical_emotion(name) for name in published]
    if kind == "onnx":
        stated = cast(list[str], face_network.network.class_names)  # type: ignore[union-attr]
        names = [canonical_emotion(name) for name in stated]
        return FaceJudge(face_network, names, source, sha256_of_file(file), GIVEN)
    if len(names) != getattr(getattr(face_network, "network", None), "num_classes", len(names)):
        names = []  # SENet-50's identity weights
    return FaceJudge(face_network, names, source, sha256_of_file(file), f"{PUBLISHED} ({kind})")


def load_identity_judge(source: str) -> FaceJudge:
    """`load_face_judge`, and if it was trained here, then to tell people apart.

    Raises:
        InputError: as there, or its classes are emotions.
    """
    judge = load_face_judge(source)
    if getattr(judge.network, "labels", "speaker") != "speaker":
        raise InputError(
            f"the identity judge {source} tells emotions apart; give an identity teacher's checkpoint"
        )
    return judge


def load_emotion_judge(source: str) -> FaceJudge:
    """`load_face_judge`, and it must tell emotions apart.

    Raises:
        InputError: as there, or its classes are not emotions.
    """
    judge = load_face_judge(source)
    labels = getattr(judge.network, "labels", "emotion")
    if not judge.class_names or labels != "emotion":
        raise InputError(
            f"the emotion judge {source} does not classify emotions; give an emotion teacher's checkpoint"
        )
    return judge


def load_sync_judge(path: str) -> SyncJudge:
    """A SyncNet from a checkpoint of a `SyncNetTraining` fit (`*.ckpt`), or the published syncnet_v2 file.

    Raises:
        InputError: no such file, or neither of these.
    """
    _check_exists(path, "the sync judge")
    if Path(path).suffix == ".ckpt":
        from s2v.modules.checkpoint_part import read_checkpoint
        from s2v.modules.named_classes import module_from
        from s2v.modules.syncnet_training import SyncNetTraining

        content = read_checkpoint(path, "the sync judge")
        if not any(key.startswith("syncnet.") for key in content["state_dict"]):
            raise InputError(
                f"{path} is no SyncNet: expected a checkpoint of s2v.modules.syncnet_training.SyncNetTraining"
            )
        module = module_from(SyncNetTraining, content, path, "the sync judge")
        syncnet, origin = module.syncnet, TRAINED_HERE
    else:
        from s2v.weights import load_syncnet

        syncnet, origin = load_syncnet(path), f"{PUBLISHED} (syncnet)"
    _check_numbers(syncnet, path, "the sync judge")
    syncnet.eval().requires_grad_(False)
    return SyncJudge(syncnet, path, sha256_of_file(path), origin)


def _check_exists(path: str, who: str) -> None:
    if not Path(path).is_file():
        raise InputError(f"{who}: no file at {path}; train it first or give another path")


def _check_numbers(network: nn.Module, path: str, who: str) -> None:
    """Beside embeddings of nan no speaker is nearer than the own one: all clips would be recognised.

    Raises:
        InputError: a weight is nan or infinite.
    """
    for name, value in network.state_dict().items():
        if not value.isfinite().all():
            raise InputError(
                f"{who}: {name} in {path} holds nan or infinite values, as after a fit that diverged; train it again "
                "or give another file"
            )


def _kind_and_path(source: str) -> tuple[str, str]:
    """What the file is ("checkpoint", or a kind of `load_face_network`), and where it lies."""
    kind, _, stated = source.partition(":")
    if stated and not Path(source).exists():
        return kind, stated
    _check_exists(source, "the face judge")
    suffix = Path(source).suffix
    if suffix == ".ckpt":
        return "checkpoint", source
    if suffix in (".hdf5", ".h5"):
        return "mini_xception", source
    if suffix == ".onnx":
        return "onnx", source
    return _kind_of_weights(source), source


_TELLING_KEYS = {
    "dw_conv.depthwise.weight": "mobilefacenet",
    "conv1_1.weight": "vggface",
    "conv1.convs.0.weight": "vggface",
    "conv1_7x7_s2.weight": "senet",
}
"""A key that only the state dict of that network has."""


def _kind_of_weights(path: str) -> str:
    try:
        keys = read_weight_file(path).keys()
    except InputError as error:
        raise InputError(f"the face judge: {error}") from None
    for key, kind in _TELLING_KEYS.items():
        if key in keys:
            return kind
    raise InputError(
        f"the face judge: the network in {path} is not known by its content; state it as KIND:{path} "
        f"with KIND one of {', '.join(FACE_KINDS)}"
    )
