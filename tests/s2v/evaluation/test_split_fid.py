"""FID of a split, with random weights in the published file's layout."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models.inception import Inception3

from s2v.cli import main
from s2v.errors import InputError
from s2v.evaluation.judges import load_fid_judge
from s2v.evaluation.report import Report
from s2v.evaluation.split_fid import SplitFid
from s2v.files.file_hash import sha256_of_file
from tests.data_modules.media import write_media


def save_inception(path: Path) -> str:
    """Random weights as the published file keeps them; its convolutions keep the signal's size."""
    torch.manual_seed(0)
    network = Inception3(num_classes=1008, aux_logits=False, init_weights=False)
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
    torch.save(network.state_dict(), path)
    return str(path)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_inception(tmp_path_factory.mktemp("fid") / "inception.pth")


def blocks(seed: int, count: int) -> torch.Tensor:
    """(T, 3, 32, 32) uint8, each a blocky pattern of its own."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (count, 3, 4, 4), np.uint8)
    return torch.from_numpy(small.repeat(8, axis=2).repeat(8, axis=3))


@pytest.mark.slow
def test_real_is_at_zero_and_other_frames_are_not(weights: str) -> None:
    judge, fid = load_fid_judge(weights), SplitFid("real")
    for number in range(2):
        real = blocks(number, 4)
        shown = {"real": real, "same": real.flip(0), "shifted": real.roll(3, dims=-1), "dark": real // 4}
        for name, frames in shown.items():
            fid.add(name, judge.features(frames))
    found = fid.distances()
    assert found["real"] <= 1e-3 * found["shifted"] and found["same"] <= 1e-3 * found["shifted"]
    assert 0 < found["shifted"] < found["dark"]
    assert fid.frames == {"real": 8, "same": 8, "shifted": 8, "dark": 8} and fid.clips("dark") == 2


@pytest.mark.slow
def test_score_reports_it_and_says_that_it_is_unstable(weights: str, tmp_path: Path) -> None:
    for name, seed in (("real", 0), ("generated", 1)):
        frames = [picture.permute(1, 2, 0).numpy() for picture in blocks(seed, 6)]
        write_media(tmp_path / name / "ann" / "a.mp4", frames)
    folder = tmp_path / "report"
    paths = ["--real", str(tmp_path / "real"), "--generated", str(tmp_path / "generated")]
    assert main(["score", *paths, "--output", str(folder), "--fid", weights]) == 0
    content = json.loads((folder / "report.json").read_text())
    ours = content["systems"]["generated"]["fid"]
    assert ours["mean"] > 0 and (ours["low"], ours["high"], ours["n"]) == (None, None, 1)
    assert content["systems"]["ground_truth"]["fid"]["mean"] < 1e-3 * ours["mean"]
    assert content["systems"]["still_frame"]["fid"]["mean"] is None  # a single picture has no covariance
    assert content["meta"]["fid_frames"] == {"ground_truth": 6, "generated": 6, "still_frame": 1}
    assert content["meta"]["judges"]["fid"]["sha256"] == sha256_of_file(weights)
    markdown = (folder / "report.md").read_text()
    assert "| fid | lower, unstable |" in markdown
    assert "generated: 6 frames: UNSTABLE BELOW 2,048 FRAMES" in markdown


def test_enough_frames_are_not_marked() -> None:
    frames = {"ground_truth": 2048, "ours": 2048, "still_frame": 40}
    report = Report([], {}, {"fid_frames": frames})
    assert not report._unstable
    assert [note for note in report.notes() if note.startswith("fid of")] == [
        "fid of ground_truth: 2,048 frames",
        "fid of ours: 2,048 frames",
        "fid of still_frame: 40 frames: UNSTABLE BELOW 2,048 FRAMES",
    ]
    report.meta["fid_frames"]["ours"] = 2047
    assert report._unstable == {"fid"}


def test_other_files_are_one_line(weights: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no file at .*; fetch pt_inception-2015-12-05-6726825d\.pth"):
        load_fid_judge(str(tmp_path / "none.pth"))
    torch.save({"fc.weight": torch.zeros(1000, 2048)}, tmp_path / "torchvision.pth")
    with pytest.raises(InputError, match="another Inception than FID's: fetch pt_inception"):
        load_fid_judge(str(tmp_path / "torchvision.pth"))
    torch.save({"fc.weight": torch.zeros(1008, 2048)}, tmp_path / "part.pth")
    with pytest.raises(InputError, match=r"does not fit FidInception: missing network\.Conv2d_1a"):
        load_fid_judge(str(tmp_path / "part.pth"))
    diverged = torch.load(weights, weights_only=True)
    diverged["Mixed_7c.branch_pool.bn.running_var"][0] = float("nan")
    torch.save(diverged, tmp_path / "diverged.pth")
    with pytest.raises(InputError, match=r"FID's Inception: .*branch_pool\.bn\.running_var in .* holds nan"):
        load_fid_judge(str(tmp_path / "diverged.pth"))
