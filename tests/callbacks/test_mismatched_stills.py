"""SDFA(mismatch) and the report: in one order its numbers would be written as SDFA's own."""

from pathlib import Path

import lightning.pytorch as pl
import pytest

from callbacks.mismatched_stills import MismatchedStills
from callbacks.test_report import TestReport
from s2v.errors import InputError
from tests.callbacks.speaking_squares import SpeakingSquares


class AnimatedSquares(SpeakingSquares):
    needs_still = True
    system_name = "SDFA"


def test_a_report_comes_after_it(tmp_path: Path) -> None:
    mismatch, report = MismatchedStills(str(tmp_path / "mismatch.csv")), TestReport(str(tmp_path))
    module = AnimatedSquares()
    trainer = pl.Trainer(accelerator="cpu", logger=False, callbacks=[mismatch, report])
    mismatch.setup(trainer, module, "test")
    assert module.system_name == "SDFA(mismatch)"
    trainer = pl.Trainer(accelerator="cpu", logger=False, callbacks=[report, mismatch])
    with pytest.raises(InputError, match=r"replace the report of the fit's own test: .*test/report\.yaml"):
        mismatch.setup(trainer, module, "test")
