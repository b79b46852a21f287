"""Loading published layouts: right weights in the right places, or one error that names what is wrong."""

import hashlib
import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from s2v import weights
from s2v.doctor import check_weights
from s2v.errors import InputError
from s2v.evaluation.judges import load_face_judge
from s2v.models.cpc import CPC
from s2v.models.mobilefacenet import MobileFaceNet
from s2v.models.sdfa import SDFA
from s2v.models.senet import SENet50
from s2v.models.speaker_encoder import SpeakerEncoder
from s2v.models.syncnet import SyncNet
from s2v.weight_files.keras_file import keras_values


def random_state(network: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """The network's keys and shapes with other values than it would begin with."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for key, value in network.state_dict().items():
        if key.endswith("running_var"):
            state[key] = torch.rand(value.shape, generator=generator) + 0.5
        elif value.is_floating_point():
            fan_in = max(1, value[0].numel()) if value.dim() > 1 else 100
            state[key] = torch.randn(value.shape, generator=generator) * (2 / fan_in) ** 0.5
        else:
            state[key] = torch.tensor(7)
    return state


def assert_holds(network: nn.Module, state: dict[str, Tensor]) -> None:
    held = network.state_dict()
    assert held.keys() == state.keys()
    for key, value in state.items():
        assert torch.equal(held[key], value), key


@pytest.mark.parametrize(("rnn", "layers", "channels", "hidden"), [("lstm", 1, 16, 24), ("gru", 2, 24, 16)])
def test_cpc_hub_layout(tmp_path: Path, rnn: Any, layers: int, channels: int, hidden: int) -> None:
    state = random_state(CPC(channels, hidden, rnn, layers))
    criterion = {"wPrediction.predictors.0.weight": torch.zeros(3, 3)}
    config = {"arMode": rnn.upper(), "nLevelsGRU": layers, "hiddenEncoder": channels, "normMode": "layerNorm"}
    torch.save({"config": config, "weights": {**state, **criterion}}, tmp_path / "hub.pt")
    cpc = weights.load_cpc(tmp_path / "hub.pt")
    assert_holds(cpc, state)
    assert not cpc.training
    assert (cpc.channels, cpc.hidden, type(cpc.gAR.baseNet).__name__.lower()) == (channels, hidden, rnn)


def test_cpc_training_layout(tmp_path: Path) -> None:
    state = random_state(CPC(channels=16, hidden=16))
    content = {"gEncoder": state, "cpcCriterion": {"x": torch.zeros(1)}, "optimizer": {}, "best": None}
    torch.save(content, tmp_path / "checkpoint_10.pt")
    (tmp_path / "checkpoint_args.json").write_text(json.dumps({"normMode": "layerNorm", "arMode": "LSTM"}))
    assert_holds(weights.load_cpc(tmp_path / "checkpoint_10.pt"), state)


@pytest.mark.parametrize(
    ("option", "value"), [("normMode", "batchNorm"), ("cpc_mode", "reverse"), ("encoder_type", "mfcc")]
)
def test_other_kinds_of_cpc_are_refused(tmp_path: Path, option: str, value: str) -> None:
    state = random_state(CPC(channels=16, hidden=16))
    torch.save({"config": {option: value}, "weights": state}, tmp_path / "hub.pt")
    with pytest.raises(InputError, match=f"{option}={value}"):
        weights.load_cpc(tmp_path / "hub.pt")
    torch.save({"gEncoder": state}, tmp_path / "checkpoint.pt")
    (tmp_path / "checkpoint_args.json").write_text(json.dumps({option: value}))
    with pytest.raises(InputError, match=f"{option}={value}"):
        weights.load_cpc(tmp_path / "checkpoint.pt")


def test_cpc_of_no_known_recurrence(tmp_path: Path) -> None:
    state = random_state(CPC(channels=16, hidden=16))
    state["gAR.baseNet.weight_ih_l0"] = torch.zeros(16, 16)  # a plain RNN
    torch.save({"weights": state}, tmp_path / "hub.pt")
    with pytest.raises(InputError, match=r"weight_ih_l0 \(16, 16\)"):
        weights.load_cpc(tmp_path / "hub.pt")


def test_not_a_cpc_file(tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(InputError, match=r"no CPC checkpoint.*conv1\.weight"):
        weights.load_cpc(tmp_path / "other.pt")


@pytest.fixture(scope="module")
def senet_state() -> dict[str, Tensor]:
    return random_state(SENet50())


@pytest.mark.parametrize("wrap", [False, True])
def test_syncnet(tmp_path: Path, wrap: bool) -> None:
    state = random_state(SyncNet())
    content: Any = {"state_dict": {f"module.{k}": v for k, v in state.items()}} if wrap else state
    torch.save(content, tmp_path / "syncnet_v2.model")
    syncnet = weights.load_syncnet(tmp_path / "syncnet_v2.model")
    assert_holds(syncnet, state)
    assert (syncnet.image_size, syncnet.region, syncnet.training) == (224, "full", False)


@pytest.mark.parametrize(
    ("network", "load"),
    [
        (CPC(channels=16, hidden=24), weights.load_cpc),
        (SpeakerEncoder(hidden=16, out_dim=8, layers=2), weights.load_speaker_encoder),
        (SDFA([32, 24], width=0.125, speech_dim=12, code_dim=16), weights.load_sdfa),
        (SyncNet(), weights.load_syncnet),
        (MobileFaceNet(), weights.load_mobilefacenet),
    ],
    ids=["cpc", "speaker encoder", "sdfa", "syncnet", "mobilefacenet"],
)
def test_safetensors(tmp_path: Path, network: nn.Module, load: Callable[[Path], nn.Module]) -> None:
    """Of which `s2v doctor` said ok, and no loader could read them."""
    path, state = tmp_path / "weights.safetensors", random_state(network)
    save_file(state, path)
    assert check_weights(path).state == "ok"
    assert_holds(load(path), state)


def test_damaged_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "face.safetensors"
    save_file(random_state(MobileFaceNet()), path)
    assert load_face_judge(str(path)).origin == "published weights (mobilefacenet)"  # known by its content
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="can't be read as safetensors: truncated") as error:
        weights.load_mobilefacenet(path)
    assert "\n" not in str(error.value)


def test_files_without_batch_counters(tmp_path: Path) -> None:
    state = {k: v for k, v in random_state(MobileFaceNet()).items() if not k.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    network = weights.load_mobilefacenet(tmp_path / "old.pt")
    assert torch.equal(network.conv3.weight, state["conv3.weight"])


def test_senet_ferplus(tmp_path: Path, senet_state: dict[str, Tensor]) -> None:
    torch.save(senet_state, tmp_path / "senet50_ferplus_dag.pth")
    network = weights.load_senet(tmp_path / "senet50_ferplus_dag.pth")
    assert_holds(network, senet_state)
    assert not network.bgr


def vggface2_key(ferplus: str) -> str:
    """The same weight's name in vggface2_senet50, the other way round than the loader goes."""
    if match := re.fullmatch(r"conv(\d)_(\d)_(.*)\.(\w+)", ferplus):
        stage, block, part, kind = int(match[1]) - 1, int(match[2]) - 1, match[3], match[4]
        if part.startswith("7x7"):
            return f"{'bn1' if part.endswith('_bn') else 'conv1'}.{kind}"
        number = {"1x1_reduce": 1, "3x3": 2, "1x1_increase": 3, "1x1_down": 4, "1x1_up": 5}
        name = part.removesuffix("_bn")
        if name == "1x1_proj":
            layer = f"downsample.{int(part.endswith('_bn'))}"
        else:
            layer = f"{'bn' if part.endswith('_bn') else 'conv'}{number[name]}"
        return f"layer{stage}.{block}.{layer}.{kind}"
    stem = {"conv1_7x7_s2": "conv1", "conv1_7x7_s2_bn": "bn1", "classifier": "fc"}
    layer, _, kind = ferplus.rpartition(".")
    return f"{stem[layer]}.{kind}"


def test_senet_vggface2(tmp_path: Path, senet_state: dict[str, Tensor], shared_dir: Path) -> None:
    state = {vggface2_key(key): value for key, value in senet_state.items()}
    state["fc.weight"], state["fc.bias"] = torch.randn(8631, 2048), torch.randn(8631)
    layouts = json.loads((shared_dir / "design" / "layouts_faces.json").read_text())
    assert {key: list(value.shape) for key, value in state.items()} == layouts["vggface2_senet50"]
    torch.save(state, tmp_path / "senet50_ft.pth")
    network = weights.load_senet(tmp_path / "senet50_ft.pth")
    classifier = {
        "classifier.weight": state["fc.weight"][..., None, None],
        "classifier.bias": state["fc.bias"],
    }
    assert_holds(network, {**senet_state, **classifier})
    # saved anew it has FERplus' keys, and is told by its people
    torch.save(network.state_dict(), tmp_path / "anew.pth")
    anew, pictures = weights.load_senet(tmp_path / "anew.pth"), 255 * torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(anew(pictures)["embedding"], network(pictures)["embedding"])
    assert network.bgr


@pytest.mark.slow
@torch.no_grad()
def test_vggface_both_layouts_at_full_size(tmp_path: Path, shared_dir: Path) -> None:
    """torchvision's VGG-16, 145 million weights: about 2 GB of memory and half a minute."""
    from torchvision.models import vgg16

    torch.manual_seed(0)
    reference = vgg16(num_classes=2622).eval()
    values = list(reference.state_dict().values())
    layouts = json.loads((shared_dir / "design" / "layouts_faces.json").read_text())
    face = torch.rand(1, 3, 224, 224) * 255
    mean = torch.tensor([129.186, 104.762, 93.594]).view(1, 3, 1, 1)
    for layout, scale in (("vgg_face_dag", 1.0), ("vggface_unipv", 255.0)):
        state = dict(zip(layouts[layout], values, strict=True))
        first = next(iter(state))
        state[first] = state[first] * scale
        torch.save(state, tmp_path / "vgg.pth")
        network = weights.load_vggface(tmp_path / "vgg.pth")
        expected = reference(face - mean)
        torch.testing.assert_close(network(face)["fc8"], expected, rtol=1e-4, atol=1e-4)


def test_vggface_keys_of_unipv(shared_dir: Path) -> None:
    layouts = json.loads((shared_dir / "design" / "layouts_faces.json").read_text())
    renamed = {weights._vggface_key(key): shape for key, shape in layouts["vggface_unipv"].items()}
    assert renamed == layouts["vgg_face_dag"]


def test_origin_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "face.pt"
    torch.save(random_state(MobileFaceNet()), path)
    network = weights.load_mobilefacenet(path)
    assert network.weights_file == str(path)
    assert network.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


LOADERS = [
    weights.load_cpc,
    weights.load_vggface,
    weights.load_senet,
    weights.load_syncnet,
    weights.load_mobilefacenet,
    weights.load_mini_xception,
]

Loader = Callable[[Path], nn.Module]


def only_line(error: pytest.ExceptionInfo[InputError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "no weights at"),
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "Git-LFS pointer"),
        (b"\n<!DOCTYPE html><html>Too many requests</html>", "web page"),
        (b"\x80\x02garbage that is no pickle", "can't be read"),
    ],
)
def test_what_is_no_weights(tmp_path: Path, load: Loader, content: bytes | None, complaint: str) -> None:
    path = tmp_path / "weights.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=complaint) as error:
        load(path)
    assert str(path) in only_line(error)


@pytest.mark.parametrize("zipped", [True, False])
def test_truncated_file(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "face.pt"
    torch.save(random_state(MobileFaceNet()), path, _use_new_zipfile_serialization=zipped)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="truncated") as error:
        weights.load_mobilefacenet(path)
    only_line(error)


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    path = tmp_path / "whole_network.pth"
    torch.save(nn.Linear(2, 2), path)
    with pytest.raises(InputError, match="more than tensors") as error:
        weights.load_syncnet(path)
    only_line(error)
    assert str(error.value).endswith(
        "it holds more than tensors (torch.nn.modules.linear.Linear), which is not executed: save a network's "
        "state_dict() alone"
    )


def test_missing_extra_and_misshapen_keys_are_named(tmp_path: Path) -> None:
    state = random_state(MobileFaceNet())
    del state["conv3.bias"]
    state["head.weight"] = torch.zeros(1)
    state["bn.weight"] = torch.zeros(64)
    torch.save(state, tmp_path / "face.pt")
    with pytest.raises(InputError) as error:
        weights.load_mobilefacenet(tmp_path / "face.pt")
    message = only_line(error)
    assert "missing conv3.bias" in message
    assert "unexpected head.weight" in message
    assert "misshapen bn.weight (64,) instead of (128,)" in message


def test_other_widths_are_named(tmp_path: Path) -> None:
    torch.save(SyncNet(image_size=112).state_dict(), tmp_path / "small.pth")
    with pytest.raises(InputError, match=r"netcnnlip.18.weight \(512, 256, 1, 2, 2\) instead of"):
        weights.load_syncnet(tmp_path / "small.pth")


def test_another_networks_file(tmp_path: Path) -> None:
    torch.save(random_state(MobileFaceNet()), tmp_path / "face.pt")
    with pytest.raises(InputError, match=r"fc8\.weight"):
        weights.load_vggface(tmp_path / "face.pt")
    with pytest.raises(InputError, match=r"classifier\.weight"):
        weights.load_senet(tmp_path / "face.pt")
    with pytest.raises(InputError, match="can't be read as HDF5"):
        weights.load_mini_xception(tmp_path / "face.pt")


def test_values_that_are_no_tensors(tmp_path: Path) -> None:
    torch.save({"conv1.0.weight": 3}, tmp_path / "face.pt")
    with pytest.raises(InputError, match=r"tensors.*conv1\.0\.weight"):
        weights.load_mobilefacenet(tmp_path / "face.pt")
    torch.save([torch.zeros(1)], tmp_path / "list.pt")
    with pytest.raises(InputError, match="list"):
        weights.load_mobilefacenet(tmp_path / "list.pt")


def test_hdf5_of_another_network(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "other.hdf5", "w") as file:
        file["model_weights/dense_1/dense_1/kernel:0"] = torch.zeros(2, 2).numpy()
    with pytest.raises(InputError, match=r"unexpected dense_1\.weight") as error:
        weights.load_mini_xception(tmp_path / "other.hdf5")
    assert "missing" in only_line(error)


@pytest.mark.parametrize("value", [3.0, "angry", [b"angry", b"sad"]])
def test_hdf5_of_something_else(value: object, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "data.hdf5", "w") as file:
        file["labels"] = value
    with pytest.raises(InputError, match=r"data\.hdf5: labels is no array of numbers") as error:
        weights.load_mini_xception(tmp_path / "data.hdf5")
    only_line(error)


@pytest.mark.parametrize(
    ("whole", "damaged"),
    [(b"kernel", b"\xffernel"), (struct.pack("<3Q", 3, 3, 8), struct.pack("<3Q", 2**55, 3, 8))],
    ids=["name", "size"],
)
def test_a_damaged_hdf5_is_one_line(whole: bytes, damaged: bytes, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="the extra hdf5 is not installed")
    with h5py.File(tmp_path / "fer.hdf5", "w") as file:
        file["conv2d_1/kernel"] = np.ones((3, 3, 8))
    data = (tmp_path / "fer.hdf5").read_bytes()
    assert whole in data
    (tmp_path / "fer.hdf5").write_bytes(data.replace(whole, damaged, 1))
    with pytest.raises(InputError, match=r"can't be read as HDF5: truncated, damaged"):
        keras_values(tmp_path / "fer.hdf5")


def test_keras_values_of_the_other_byte_order(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "big.hdf5", "w") as file:
        file["bn/gamma:0"] = np.arange(3, dtype=">f4")
    assert keras_values(tmp_path / "big.hdf5")["bn/gamma"].tolist() == [0, 1, 2]
