"""Means over processes, by hand; with real processes: tests/s2v/modules/test_parallel_fit.py."""

from types import SimpleNamespace
from typing import Any

import lightning.pytorch as pl
import pytest
import torch

from s2v.modules.shared_validation import SharedValidation


class Process(SharedValidation):
    """One of two, of which the other logs nothing where it has no clip."""

    def __init__(self) -> None:
        super().__init__()
        self._trainer = SimpleNamespace(world_size=2)  # type: ignore[assignment]


def test_a_batch_counts_as_often_as_it_has_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    logged: dict[str, tuple[float, bool]] = {}

    def log(_: Any, name: str, value: Any, **options: Any) -> None:
        logged[name] = float(value), options["prog_bar"]

    monkeypatch.setattr(pl.LightningModule, "log", log)
    one, other = Process(), Process()
    one.log("val/l1", torch.tensor(2.0), batch_size=3, prog_bar=True)
    one.log("val/l1", 4.0, batch_size=1, prog_bar=True)
    other.log("val/l1", 8.0, batch_size=2, prog_bar=True)
    other.log("val/ssim", 0.5, batch_size=2)
    assert not logged  # only at the end

    monkeypatch.setattr(
        torch.distributed,
        "all_gather_object",
        lambda parts, mine: parts.__setitem__(slice(2), [mine, other._sums]),
    )
    one.on_validation_epoch_end()
    assert logged == {"val/l1": ((2 * 3 + 4 + 8 * 2) / 6, True), "val/ssim": (0.5, False)}
    one.on_validation_epoch_start()
    assert not one._sums
