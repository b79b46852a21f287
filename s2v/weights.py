"""Published checkpoints into our networks, unchanged.

Each `load_*` gives a network in evaluation mode with its origin in `weights_file` and `weights_sha256`. A
file that is missing, damaged or does not fit is one InputError that names what is wrong
(`s2v.weight_files.weight_file`). Where published files keep the weights in inner dictionaries, the network's own state
dict is read as well, for safetensors files hold nothing else.
"""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import numpy as np
import torch

from s2v.errors import InputError
from s2v.files.file_hash import sha256_of_file
from s2v.models.cpc import CPC
from s2v.models.lpips import CHANNELS, LPIPS
from s2v.models.mini_xception import MiniXception
from s2v.models.mobilefacenet import MobileFaceNet
from s2v.models.onnx_face import OnnxFaceNetwork
from s2v.models.sdfa import SDFA
from s2v.models.senet import SENet50
from s2v.models.speaker_encoder import SpeakerEncoder
from s2v.models.syncnet import SyncNet
from s2v.models.vggface import VGGFace
from s2v.models.wav2vec2 import Wav2Vec2
from s2v.weight_files.keras_file import KERAS_VALUES, keras_layer_names, keras_values
from s2v.weight_files.wav2vec2_file import blocks_of, wav2vec2_state
from s2v.weight_files.weight_file import (
    StateDict,
    checked_weight_file,
    filled,
    only_tensors,
    read_state_dict,
    read_weight_file,
    shape_of,
    some_of,
)

if TYPE_CHECKING:
    from s2v.models.fid_inception import FidInception

FID_FILE = "pt_inception-2015-12-05-6726825d.pth (release fid_weights of github.com/mseitzer/pytorch-fid)"
"""The published weights that FID means; nothing is ever downloaded."""

_CPC_OPTIONS = {"normMode": "layerNorm", "encoder_type": "cpc"}
"""Options of CPC_audio that change the graph but not its keys, with the values this CPC implements."""

VGGFACE2_PEOPLE = 8631

_UNIPV_DENSE = {"fc1": "fc6", "fc2": "fc7", "fc3": "fc8"}

_VGGFACE2_LAYERS = {
    "conv1": "1x1_reduce",
    "bn1": "1x1_reduce_bn",
    "conv2": "3x3",
    "bn2": "3x3_bn",
    "conv3": "1x1_increase",
    "bn3": "1x1_increase_bn",
    "conv4": "1x1_down",
    "conv5": "1x1_up",
    "downsample.0": "1x1_proj",
    "downsample.1": "1x1_proj_bn",
}
_VGGFACE2_ENDS = {"conv1": "conv1_7x7_s2", "bn1": "conv1_7x7_s2_bn", "fc": "classifier"}


def load_cpc(path: str | Path) -> CPC:
    """CPC of facebookresearch/CPC_audio: a hub file {config, weights} or a training file {gEncoder, ...}.

    Sizes, layers and LSTM or GRU are read from the tensors, so that a training file needs no
    checkpoint_args.json beside it; keys of criterion and optimizer are left out. A configuration that asks
    for what this CPC is not (another norm, reversed contexts) is refused.
    """
    content = read_weight_file(path)
    flat = content if "gAR.baseNet.weight_ih_l0" in content else None
    weights = content.get("weights", content.get("gEncoder", flat))
    if not isinstance(weights, Mapping):
        raise InputError(
            f"{path} is no CPC checkpoint: expected 'weights' (hub) or 'gEncoder' (training) in it, "
            f"but its keys are {some_of(content)}"
        )
    _refuse_other_cpc(path, content["config"] if "config" in content else _arguments_beside(path))
    weights = {str(key): value for key, value in weights.items()}
    state = only_tensors(path, {k: v for k, v in weights.items() if k.startswith(("gEncoder.", "gAR."))})
    gates, channels = shape_of(path, state, "gAR.baseNet.weight_ih_l0", dims=2)
    _, hidden = shape_of(path, state, "gAR.baseNet.weight_hh_l0", dims=2)
    if gates not in (3 * hidden, 4 * hidden):
        raise InputError(
            f"{path}: misshapen gAR.baseNet.weight_ih_l0 ({gates}, {channels}): for {hidden} hidden units an "
            f"LSTM has {4 * hidden} rows and a GRU {3 * hidden}"
        )
    layers = sum(key.startswith("gAR.baseNet.weight_ih_l") for key in state)
    return filled(path, CPC(channels, hidden, "lstm" if gates == 4 * hidden else "gru", layers), state)


def _refuse_other_cpc(path: str | Path, options: Any) -> None:
    if not isinstance(options, Mapping):
        return
    for name, wanted in _CPC_OPTIONS.items():
        if options.get(name, wanted) != wanted:
            raise InputError(f"{path} was trained with {name}={options[name]}: only {wanted} is supported")
    if options.get("cpc_mode") == "reverse":
        raise InputError(f"{path} was trained with cpc_mode=reverse: backward contexts are not supported")


def _arguments_beside(path: str | Path) -> Any:
    """What CPC_audio's training writes beside its checkpoints; nothing where the file is not there."""
    arguments = Path(path).with_name("checkpoint_args.json")
    if not arguments.is_file():
        return {}
    try:
        return json.loads(arguments.read_text())
    except ValueError as error:
        raise InputError(f"{arguments}, beside {Path(path).name}, is no JSON: {error}") from error


def load_wav2vec2(path: str | Path, layers: int | None = None) -> Wav2Vec2:
    """wav2vec 2.0 or HuBERT of torchaudio (`hubert_fairseq_base_ls960.pth`) or Hugging Face (`model.safetensors`).

    Size and normalisation are read from the tensors. Heads for training and recognition are left out, and so are the
    transformer's blocks after `layers`, by default none.
    """
    state = wav2vec2_state(path, layers)
    hidden, _ = shape_of(path, state, "encoder.feature_projection.projection.weight", dims=2)
    normalised_by_layer = "feature_extractor.conv_layers.1.layer_norm.weight" in state
    network = Wav2Vec2(hidden, blocks_of(state), "layer" if normalised_by_layer else "group")
    if normalised_by_layer:  # HuBERT's large models have no biases there, wav2vec 2.0's have
        for key, value in network.network.state_dict().items():
            if key.startswith("feature_extractor.") and key.endswith(".conv.bias"):
                state.setdefault(key, torch.zeros_like(value))
        state = {k: v for k, v in state.items() if not k.startswith("encoder.transformer.layer_norm.")}
    return filled(path, network, {f"network.{key}": value for key, value in state.items()})


def load_speaker_encoder(path: str | Path) -> SpeakerEncoder:
    """Speaker encoder of resemble-ai/Resemblyzer (`pretrained.pt` in its wheel): {model_state, ...}.

    What its training loss has of its own, `similarity_weight` and `similarity_bias`, is left out.
    """
    content = read_weight_file(path)
    weights = content.get("model_state", content if "linear.weight" in content else None)
    if not isinstance(weights, Mapping):
        raise InputError(
            f"{path} is no speaker encoder: expected 'model_state' in it, but its keys are {some_of(content)}"
        )
    state = only_tensors(path, weights)
    state = {key: value for key, value in state.items() if not key.startswith("similarity_")}
    out_dim, _ = shape_of(path, state, "linear.weight", dims=2)
    _, hidden = shape_of(path, state, "lstm.weight_hh_l0", dims=2)
    layers = sum(key.startswith("lstm.weight_hh_l") for key in state)
    return filled(path, SpeakerEncoder(hidden, out_dim, layers), state)


def load_vggface(path: str | Path) -> VGGFace:
    """VGGFace laid out as "vgg_face_dag" (conv1_1 ... fc8) or "unipv" (convN.convs.M, fc1 ... fc3).

    "unipv" takes pictures in 0..1 by having 255 inside its first layer's weights; it is taken out again.
    """
    state = read_state_dict(path)
    if any(".convs." in key for key in state):
        state = {_vggface_key(key): value for key, value in state.items()}
        if "conv1_1.weight" in state:
            state["conv1_1.weight"] = state["conv1_1.weight"] / 255
    classes = shape_of(path, state, "fc8.weight", dims=2)[0]
    return filled(path, VGGFace(num_classes=classes), state)


def _vggface_key(unipv: str) -> str:
    """conv3.convs.1.bias -> conv3_2.bias, fc1.weight -> fc6.weight; any other key stays, and will not fit."""
    if match := re.fullmatch(r"conv(\d)\.convs\.(\d)\.(weight|bias)", unipv):
        return f"conv{match[1]}_{int(match[2]) + 1}.{match[3]}"
    layer, _, kind = unipv.partition(".")
    return f"{_UNIPV_DENSE.get(layer, layer)}.{kind}"


def load_senet(path: str | Path) -> SENet50:
    """SENet-50 laid out as "senet50_ferplus_dag" (8 emotions) or "vggface2_senet50" (8631 people, BGR).

    VGGFace2's, saved anew from the network that this gives, has the first one's keys, and is told by its 8631 people.
    """
    state = read_state_dict(path)
    of_vggface2 = any(key.startswith("layer1.") for key in state)
    if of_vggface2:
        state = {_senet_key(key): value for key, value in state.items()}
        if "classifier.weight" in state:
            classifier = state["classifier.weight"]
            state["classifier.weight"] = classifier.reshape(*classifier.shape, 1, 1)
    classes = shape_of(path, state, "classifier.weight", dims=4)[0]
    return filled(path, SENet50(num_classes=classes, bgr=of_vggface2 or classes == VGGFACE2_PEOPLE), state)


def _senet_key(vggface2: str) -> str:
    """layer1.0.conv1.weight -> conv2_1_1x1_reduce.weight; any other key stays, and will not fit."""
    layer, _, kind = vggface2.rpartition(".")
    if match := re.fullmatch(r"layer(\d)\.(\d+)\.(.+)", layer):
        stage, block, part = int(match[1]) + 1, int(match[2]) + 1, match[3]
        return f"conv{stage}_{block}_{_VGGFACE2_LAYERS.get(part, part)}.{kind}"
    return f"{_VGGFACE2_ENDS.get(layer, layer)}.{kind}"


def load_syncnet(path: str | Path) -> SyncNet:
    """SyncNet v2 of the public evaluation: full faces, 224 x 224."""
    return filled(path, SyncNet(), read_state_dict(path))


def load_sdfa(path: str | Path) -> SDFA:
    """SDFA of DinoMan/speech-driven-animation: {encoder, encoder_id, generator} and its settings.

    The picture's size and the networks' width are read from the tensors. `mean_face`, a numpy array, is kept on the
    network: where the eyes and the nose lie in the faces that it was trained on.
    """
    content = read_weight_file(path, with_arrays=True)
    state: StateDict = {}
    for part in ("encoder", "encoder_id", "generator"):
        dotted = [key for key in content if key.startswith(f"{part}.")]
        flat = {key.removeprefix(f"{part}."): content[key] for key in dotted}
        weights = content.get(part, flat or None)
        if not isinstance(weights, Mapping):
            raise InputError(
                f"{path} is no SDFA checkpoint: expected 'encoder', 'encoder_id' and 'generator' in it, "
                f"but its keys are {some_of(content)}"
            )
        state |= {f"{part}.{key}": value for key, value in only_tensors(path, weights).items()}
    _refuse_other_sdfa(path, content)
    channels = shape_of(path, state, "encoder_id.cl.0.0.weight", dims=4)[0]
    times = sum(re.fullmatch(r"encoder_id\.cl\.\d+\.1\.weight", key) is not None for key in state)
    code, _, *smallest = shape_of(path, state, f"encoder_id.cl.{times}.0.weight", dims=4)
    speech = shape_of(path, state, "encoder.rnn.weight_hh_l0", dims=2)[1]
    try:
        network = SDFA([side << times for side in smallest], channels / 64, speech, code)
    except ValueError as error:
        raise InputError(f"{path} is of another SDFA than the published ones: {error}") from error
    network = filled(path, network, state)
    if isinstance(face := content.get("mean_face"), np.ndarray) and face.dtype.kind in "fiu":
        network.mean_face = torch.from_numpy(face.astype(np.float32))
    return network


def _refuse_other_sdfa(path: str | Path, settings: Mapping[str, Any]) -> None:
    """Settings that change what the networks hear, but none of their keys."""
    for name, wanted in {"audio_rate": 50_000, "video_rate": 25, "audio_feat_samples": 10_000}.items():
        if settings.get(name, wanted) != wanted:
            raise InputError(f"{path} was trained with {name}={settings[name]}: only {wanted} is supported")


def load_lpips(path: str | Path) -> LPIPS:
    """LPIPS from torchvision's AlexNet (`features.N`; its classifier is left out) at `path`.

    The five layers' linear weights, version 0.1, are read from the file unless torchmetrics', which has them, will do.
    """
    state = read_state_dict(path)
    linear = {key: value for key, value in state.items() if key.startswith("lin")}
    if not linear:
        import torchmetrics.functional.image

        folder = Path(torchmetrics.functional.image.__file__).parent
        linear = read_state_dict(folder / "lpips_models" / "alex.pth")
    state = {key: value for key, value in state.items() if key.startswith("features.")}
    for layer in range(len(CHANNELS)):
        for key in (f"lin{layer}.model.1.weight", f"linear.{layer}"):
            if key in linear:
                state[f"linear.{layer}"] = linear[key].flatten()
    return filled(path, LPIPS(), state)


def load_fid_inception(path: str | Path) -> "FidInception":
    """The Inception whose features FID is made of, from `FID_FILE` at `path`; its classifier is left out."""
    from s2v.models.fid_inception import CLASSES, FidInception

    state = read_state_dict(path)
    if shape_of(path, state, "fc.weight", 2)[0] != CLASSES:
        raise InputError(f"{path} is another Inception than FID's: fetch {FID_FILE}")
    kept = {f"network.{key}": value for key, value in state.items() if not key.startswith("fc.")}
    return filled(path, FidInception(), kept)


def load_mobilefacenet(path: str | Path, detector: str = "") -> MobileFaceNet:
    """MobileFaceNet of foamliu/MobileFaceNet; `detector` (YuNet's .onnx file) aligns faces by landmarks."""
    return filled(path, MobileFaceNet(detector=detector), read_state_dict(path))


def load_onnx(source: str) -> OnnxFaceNetwork:
    """Any face network as ONNX: `FILE?size=112&mean=127.5&std=128&order=bgr`, from `?` on what `_ONNX_OPTIONS` reads.

    mean and std: one number or three with commas (red, green, blue), of 0..255. `output=logits` and
    `classes=anger,fear,...` make it a classifier; `name=...` reads another output than the file's first.
    """
    path, _, query = source.partition("?")
    options: dict[str, Any] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in _ONNX_OPTIONS:
            raise InputError(f"{source}: unknown option {key!r}, expected {', '.join(_ONNX_OPTIONS)}")
        name, read = _ONNX_OPTIONS[key]
        try:
            options[name] = read(value)
        except ValueError as error:
            raise InputError(f"{source}: {key}={value} is no number") from error
    if "class_names" in options:
        options.setdefault("output", "logits")
    network = OnnxFaceNetwork(str(checked_weight_file(path)), **options)
    network.weights_file = path  # type: ignore[assignment]
    network.weights_sha256 = sha256_of_file(path)  # type: ignore[assignment]
    return network.eval()


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


_ONNX_OPTIONS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "size": ("image_size", int),
    "mean": ("mean", _numbers),
    "std": ("std", _numbers),
    "order": ("order", str),
    "output": ("output", str),
    "name": ("output_name", str),
    "classes": ("class_names", lambda text: text.split(",")),
}
"""Option -> the argument of OnnxFaceNetwork that it is, and how it is read."""


def load_mini_xception(path: str | Path) -> MiniXception:
    """mini-XCEPTION of oarriaga/face_classification, from the HDF5 file Keras wrote."""
    layers = keras_layer_names()
    state: StateDict = {}
    for name, value in keras_values(path).items():
        layer, _, kind = name.rpartition("/")
        state[f"{layers.get(layer, layer)}.{KERAS_VALUES.get(kind, kind)}"] = value
    return filled(path, MiniXception(), state)
