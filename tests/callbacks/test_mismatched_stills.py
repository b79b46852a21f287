"""SDFA(mismatch) and the report: in one order its numbers would be written as SDFA's own."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch

from callbacks.mismatched_stills import MismatchedStills
from callbacks.test_report import TestReport
from data_modules.clip_cache import write_clip
from s2v.errors import InputError
from s2v.evaluation.mismatch import read_mismatch, write_mismatch
from tests.callbacks.speaking_squares import SpeakingSquares


class AnimatedSquares(SpeakingSquares):
    needs_still = True
    system_name = "SDFA"


def test_a_report_comes_after_it(tmp_path: Path) -> None:
    mismatch, report = MismatchedStills(str(tmp_path / "mismatch.csv")), TestReport(str(tmp_path))
    module = AnimatedSquares()
    trainer = pl.Trainer(accelerator="cpu", logger=False, callbacks=[mismatch, report])
    mismatch.setup(trainer, module, "fit")
    assert module.system_name == "SDFA"
    mismatch.setup(trainer, module, "test")
    assert module.system_name == "SDFA(mismatch)"
    trainer = pl.Trainer(accelerator="cpu", logger=False, callbacks=[report, mismatch])
    with pytest.raises(InputError, match=r"replace the report of the fit's own test: .*test/report\.yaml"):
        mismatch.setup(trainer, module, "test")
    trainer = pl.Trainer(accelerator="cpu", logger=False, callbacks=[mismatch])
    with pytest.raises(
        InputError, match="is for SDFA, which animates a picture; this SpeakingSquares takes none"
    ):
        mismatch.setup(trainer, SpeakingSquares(), "test")


def test_each_clip_is_given_the_first_frame_of_the_lists_other_clip(tmp_path: Path) -> None:
    """By the list that was written first, whatever another run would draw."""
    rows, first = [], {}
    for number, speaker in enumerate(("ann", "ann", "ben", "cem")):
        frames = (
            np.full((3, 3, 8, 8), 40 * number, np.uint8) + np.arange(3, dtype=np.uint8)[:, None, None, None]
        )
        name = f"{number}.safetensors"
        write_clip(tmp_path / name, frames, np.zeros(3 * 640, np.int16), {"clip_id": f"clip{number}"})
        rows.append(SimpleNamespace(clip_id=f"clip{number}", speaker=speaker, cache_file=name))
        first[f"clip{number}"] = torch.from_numpy(frames[0])
    data = SimpleNamespace(clips={"test": rows}.__getitem__, cache_dir=str(tmp_path))
    trainer: Any = SimpleNamespace(datamodule=data)
    callback, module, names = MismatchedStills(str(tmp_path / "list.csv")), AnimatedSquares(), list(first)
    callback.on_test_start(trainer, module)
    chosen = read_mismatch(tmp_path / "list.csv", {row.clip_id: row.speaker for row in rows})
    others = {"clip0": "clip3", "clip1": "clip2", "clip2": "clip3", "clip3": "clip0"}
    for expected in (chosen, others):
        batch: Any = {"clip_id": names, "still": torch.zeros(4, 3, 8, 8, dtype=torch.uint8)}
        callback.on_test_start(trainer, module)
        callback.on_test_batch_start(trainer, module, batch, 0)
        assert torch.equal(batch["still"], torch.stack([first[expected[name]] for name in names]))
        write_mismatch(tmp_path / "list.csv", others)
