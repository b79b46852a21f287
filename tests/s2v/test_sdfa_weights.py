"""Published SDFA files: the layout, numpy's mean face, and one line for what is wrong."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from s2v import weights
from s2v.errors import InputError
from s2v.models.sdfa import SDFA
from tests.s2v.test_weights import assert_holds, random_state

SETTINGS: dict[str, Any] = {
    "img_size": (32, 24),
    "audio_rate": 50_000,
    "video_rate": 25,
    "audio_feat_len": 0.2,
    "audio_feat_samples": 10_000,
    "id_enc_dim": 16,
    "rnn_gen_dim": 12,
    "aud_enc_dim": 12,
    "aux_latent": 10,
    "sequential_noise": True,
}


def small() -> SDFA:
    return SDFA([32, 24], width=0.125, speech_dim=12, code_dim=16)


def content(**changes: Any) -> dict[str, Any]:
    state = random_state(small())
    parts = {
        part: {key[len(part) + 1 :]: value for key, value in state.items() if key.startswith(f"{part}.")}
        for part in ("encoder", "encoder_id", "generator")
    }
    return {**SETTINGS, **parts, "mean_face": np.arange(136, dtype=np.float64).reshape(68, 2), **changes}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])
def test_a_published_file(tmp_path: Path, zipped: bool) -> None:
    torch.save(content(), tmp_path / "sdfa.dat", _use_new_zipfile_serialization=zipped)
    network = weights.load_sdfa(tmp_path / "sdfa.dat")
    assert_holds(network, random_state(small()))
    assert not network.training
    assert network.frame_size == (32, 24)
    assert network.mean_face is not None and network.mean_face[67].tolist() == [134, 135]
    assert network.weights_file == str(tmp_path / "sdfa.dat")


def test_files_from_before_the_batch_counters(tmp_path: Path) -> None:
    old = content()
    for part in ("encoder", "encoder_id", "generator"):
        old[part] = {k: v for k, v in old[part].items() if not k.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "old.dat")
    assert weights.load_sdfa(tmp_path / "old.dat").frame_size == (32, 24)


def test_the_published_layout(shared_dir: Path, tmp_path: Path) -> None:
    layout = json.loads((shared_dir / "design" / "layout_sdfa.json").read_text())
    expected = {
        f"{part}.{key}": tuple(shape)
        for part in ("encoder", "encoder_id", "generator")
        for key, shape in layout[part].items()
    }
    found = {
        key: tuple(value.shape) for key, value in SDFA(layout["config"]["img_size"]).state_dict().items()
    }
    assert found == expected


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return subprocess.check_output, (["touch", str(tmp_path / "executed")],)

    torch.save(content(mean_face=np.array([Evil()], dtype=object)), tmp_path / "evil.dat")
    with pytest.raises(InputError, match="can't be read as PyTorch weights"):
        weights.load_sdfa(tmp_path / "evil.dat")
    assert not (tmp_path / "executed").exists()


def without(part: str, key: str) -> dict[str, Any]:
    made = content()
    del made[part][key]
    return made


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"encoder": {}}, "no SDFA checkpoint: expected 'encoder', 'encoder_id' and 'generator'"),
        (content(audio_rate=16_000), "audio_rate=16000: only 50000"),
        (content(video_rate=30), "video_rate=30: only 25"),
        (without("generator", "dcl.1.dcl2.weight"), "missing generator.dcl.1.dcl2.weight"),
        (without("encoder_id", "cl.0.0.weight"), "missing encoder_id.cl.0.0.weight"),
        (content(encoder=content()["encoder"] | {"more": torch.zeros(1)}), "unexpected encoder.more"),
        (content(generator=content()["generator"] | {"dcl.3.weight": torch.zeros(1)}), "misshapen generator"),
        (content(encoder={"x": 3}), "expected nothing but tensors"),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path: Path, made: dict[str, Any], words: str) -> None:
    torch.save(made, tmp_path / "sdfa.dat")
    with pytest.raises(InputError, match=words) as raised:
        weights.load_sdfa(tmp_path / "sdfa.dat")
    assert "\n" not in str(raised.value) and "sdfa.dat" in str(raised.value)
