import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from s2v.modules.composer import ComposerModule
from tests.s2v.modules.small_modules import composer


@pytest.mark.slow
def test_two_processes_train_one_composer(crema_d_cache: Path, face_file: str, tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-m", "tests.s2v.modules.parallel_fit", tmp_path, crema_d_cache, face_file]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    subprocess.run(command, check=True, cwd=root, env=environment, timeout=280)
    one, other = (torch.load(tmp_path / f"rank{rank}.pt") for rank in (0, 1))

    assert one["steps"] == other["steps"] == 6
    for part in ("average", "discriminators"):
        torch.testing.assert_close(one[part], other[part], rtol=0, atol=0)
    start: ComposerModule = composer(image_size=64)
    for name, value in start.discriminators.named_parameters():
        assert not torch.equal(value, one["discriminators"][name]), name
    # the ranks share each epoch's clips, none twice
    for epoch in range(3):
        steps = [2 * epoch, 2 * epoch + 1]
        clips = [clip for rank in (one, other) for step in steps for clip in rank["clips"][step]]
        assert len(set(clips)) == len(clips) == 8
    assert all(loss.isfinite() for loss in one["losses"].values()) and len(one["losses"]) == 9
