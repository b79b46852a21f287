"""Benchmarks are run by hand: here that each starts, says how it is called, and is in the experiments' README.

Of those that know GPUs also what holds without one.
"""

import argparse
import importlib
import json
import os
import platform
import runpy
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data_modules.clip_cache import read_clip
from data_modules.preparation import prepare
from data_modules.synthetic.corpus import write_corpus
from s2v.generation.speech_file import SpeechFile
from s2v.models.sdfa import SDFA

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "experiments" / "benchmarks"
SHARED = {"gpu_settings", "result_file", "speech_networks"}
"""What others import."""
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in SHARED)
KNOW_GPUS = {"training_step", "generation", "data_wait"}


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_starts_and_is_documented(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = FOLDER / f"{name}.py"
    monkeypatch.setattr("sys.argv", [str(path), "--help"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(path), run_name="__main__")
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert f"python experiments/benchmarks/{name}.py" in said
    assert ("--device {cpu,cuda}" in said) == (name in KNOW_GPUS)
    pages = [REPOSITORY / "docs" / "performance.md", REPOSITORY / "experiments" / "README.md"]
    assert any(f"benchmarks/{name}.py" in page.read_text(encoding="utf-8") for page in pages)


@pytest.fixture
def benchmark() -> Any:
    """Imports one by its name."""
    return importlib.import_module


def test_a_result_says_what_it_was_measured_with(
    benchmark: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = benchmark("result_file")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    listing = tmp_path / "cpuinfo"
    listing.write_text("processor\t: 0\nmodel name\t: Some CPU: 2 GHz\n\nmodel name\t: Another\n")
    assert files.processor(listing) == "Some CPU: 2 GHz"
    assert files.processor(tmp_path / "none") == platform.machine()
    files.write_result(tmp_path / "new" / "r.json", {"rows": [1.5]})
    found = json.loads((tmp_path / "new" / "r.json").read_text())
    assert found["rows"] == [1.5] and found["machine"]["gpu"] == "a GPU"
    assert 1 <= found["machine"]["cores"] <= (os.cpu_count() or 1)
    assert found["machine"]["packages"]["torch"] == version("torch")


@pytest.mark.slow
def test_a_setting_that_fails_leaves_its_reason_and_the_others_go_on(
    benchmark: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = benchmark("training_step")

    def measured(setting: Any, args: argparse.Namespace, size: int) -> dict[str, Any]:
        if setting.compiled:
            raise RuntimeError("no compiler\nand a long story")
        seconds = 0.1 if setting.bfloat16 else 0.4
        return {
            "seconds": seconds,
            "peak_bytes": 8,
            "peak_bytes_per_clip": 4,
            "terms": {"generator": 1.0, "similarity": 0.5},
        }

    monkeypatch.setattr(steps, "measure_on_gpu", measured)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    before = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    args = argparse.Namespace(
        budget=60.0, output=tmp_path / "r.json", device="cuda", paper=False, clips=2, frames=2
    )
    rows = {row["setting"]: row for row in steps.on_gpu(steps.GPU_SETTINGS, args, 64)}
    assert list(rows) == list(steps.GPU_SETTINGS)
    assert rows["bf16-mixed"]["times_faster"] == pytest.approx(4)
    assert rows["all together"]["failed"] == "RuntimeError: no compiler"
    assert (
        "all together                                   RuntimeError: no compiler\n"
        in capsys.readouterr().out
    )
    assert len(json.loads(args.output.read_text())["settings"]) == len(rows)
    assert before == (torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision())


def test_a_used_up_budget_ends_what_runs(benchmark: Any) -> None:
    steps = benchmark("training_step")
    with pytest.raises(TimeoutError, match="--budget"), steps.time_limit(0.05):
        while True:
            pass
    with pytest.raises(TimeoutError), steps.time_limit(0):
        pytest.fail("no time was left")


def test_a_fit_of_data_wait_clocks_every_counted_step(benchmark: Any, tmp_path: Path) -> None:
    waits, steps = benchmark("data_wait"), benchmark("training_step")
    waits.write_cache(tmp_path, 30, 64, jpeg_quality=90)
    args = argparse.Namespace(device="cpu", uncounted=1, steps=2, clips=2, frames=2, cached=30)
    found = waits.fit(steps.composer(False, 64), tmp_path, args, workers=0, synchronise=False)
    assert 0 < found["wait_seconds"] < found["step_seconds"]
    assert found["share"] == pytest.approx(found["wait_seconds"] / found["step_seconds"])


def test_windows_are_decoded_as_the_cache_has_them(benchmark: Any, tmp_path: Path) -> None:
    loading = benchmark("data_loading")
    write_corpus(tmp_path / "corpus", "voxceleb2", 1, 1, size=loading.SIZE)
    prepare(
        tmp_path / "corpus", "voxceleb2", tmp_path / "cache", size=loading.SIZE, workers=1, progress=False
    )
    (row,) = loading.usable(tmp_path / "cache")
    frames, _ = read_clip(tmp_path / "cache" / row.cache_file)
    decoded = loading.decode_window(tmp_path / "corpus" / row.source, 5)
    assert np.array_equal(decoded.transpose(0, 3, 1, 2), [frames[0], *frames[5 : 5 + loading.FRAMES]])


def test_sdfa_as_published_makes_the_frames_of_our_own(benchmark: Any, tmp_path: Path) -> None:
    """Two ways to one result: the identity's half of each block computed once, or in every frame."""
    generation = benchmark("generation")
    torch.manual_seed(0)
    network, still = SDFA([32, 24], width=0.25), torch.randint(0, 256, (3, 32, 24), dtype=torch.uint8)
    for norm in network.modules():
        if isinstance(norm, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            norm.momentum = 1.0
    with torch.no_grad():  # statistics of what comes, so that frames are not all grey
        network(torch.randn(2, 6400), torch.rand(2, 3, 32, 24) * 2 - 1)
    network.eval()
    speech = benchmark("speech_networks").write_speech(tmp_path / "speech.wav", 1.0)
    published, own = (
        torch.cat(list(make(network, still)(SpeechFile(speech)))).int()
        for make in (generation.sdfa_as_published, generation.sdfa)
    )
    assert own.shape == (25, 3, 32, 24)
    assert own.float().std() > 1, "frames of one colour say nothing"
    assert (published - own).abs().max() <= 1
