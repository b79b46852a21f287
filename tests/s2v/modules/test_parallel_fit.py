import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from s2v.modules.composer import ComposerModule
from tests.s2v.evaluation.judge_checkpoints import save_syncnet
from tests.s2v.modules.small_modules import composer


def run(program: str, *arguments: object) -> None:
    """A program of this folder, in a process of its own that starts the others."""
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-m", f"tests.s2v.modules.{program}", *map(str, arguments)]
    subprocess.run(command, check=True, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, timeout=280)


@pytest.mark.slow
def test_two_processes_train_one_composer(crema_d_cache: Path, face_file: str, tmp_path: Path) -> None:
    run("parallel_fit", tmp_path, crema_d_cache, face_file)
    one, other = (torch.load(tmp_path / f"rank{rank}.pt") for rank in (0, 1))

    assert one["steps"] == other["steps"] == 6
    for part in ("average", "discriminators", "statistics"):
        torch.testing.assert_close(one[part], other[part], rtol=0, atol=0)
    assert one["statistics"]["identity.scales_seen"] == 6 and "identity.scales" in one["statistics"]
    # both remember the faces and codes that either saw: 24 clips
    assert one["statistics"]["pose.seen"].sum() == 24
    start: ComposerModule = composer(image_size=64)
    for name, value in start.discriminators.named_parameters():
        assert not torch.equal(value, one["discriminators"][name]), name
    # the ranks share each epoch's clips, none twice
    for epoch in range(3):
        steps = [2 * epoch, 2 * epoch + 1]
        clips = [clip for rank in (one, other) for step in steps for clip in rank["clips"][step]]
        assert len(set(clips)) == len(clips) == 8
    assert all(loss.isfinite() for loss in one["losses"].values()) and len(one["losses"]) == 9


@pytest.mark.slow
def test_two_processes_end_with_the_weights_of_one(
    crema_d_cache: Path, teachers_dir: Path, tmp_path: Path
) -> None:
    """Stage 1, 20 steps of the same four clips: shared out between two processes, or all in one; and its metrics."""
    teachers = teachers_dir / "identity.ckpt", teachers_dir / "emotion.ckpt"
    for processes in (1, 2):
        run("parallel_distill", tmp_path, crema_d_cache, *teachers, processes)
    one, two = (torch.load(tmp_path / f"{processes}.pt") for processes in (1, 2))
    assert one["steps"] == two["steps"] == 20
    torch.testing.assert_close(two["after"], one["after"], rtol=0, atol=1e-6)
    for name, start in one["before"].items():
        if "cpc" not in name:
            assert (one["after"][name] - start).abs().max() > 1e-3, name  # there is something to compare
    assert two["metrics"] == pytest.approx(one["metrics"], abs=1e-5)
    assert {"val/loss", "val/identity_cosine", "val/identity_retrieval"} <= set(one["metrics"])


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 4])
def test_a_shared_validation_is_that_of_one_process(
    processes: int, crema_d_cache: Path, tmp_path: Path
) -> None:
    """Drawn negatives, clips without a label, unlike shares; and with four processes three batches, seen by all."""
    syncnet = save_syncnet(tmp_path / "syncnet.ckpt")
    for number in (1, processes):
        run("parallel_validation", tmp_path, crema_d_cache, syncnet, number)
    one = torch.load(tmp_path / "1-0.pt")
    parts = [torch.load(tmp_path / f"{processes}-{rank}.pt") for rank in range(processes)]
    assert {clip for part in parts for clip in part["served"]} == set(one["served"])
    assert len({len(part["served"]) for part in parts}) > 1
    assert {"ComposerModule/val/ssim", "CPCPretraining/val/info_nce", "FaceTeacher/val/accuracy"} <= set(
        one["logged"]
    )
    for part in parts:
        assert part["logged"] == pytest.approx(one["logged"], rel=1e-6)
