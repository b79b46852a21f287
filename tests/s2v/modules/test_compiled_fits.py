"""Stages with their compiled.yaml train as they do without."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
import yaml
from torch._dynamo.utils import counters

from callbacks.compiled_networks import CompiledNetworks
from s2v.modules.composer import LossWeights
from tests.experiments.combinations import EXPERIMENTS
from tests.s2v.modules.small_faces import SmallFaces, trainer
from tests.s2v.modules.small_modules import composer, distill

pytestmark = pytest.mark.slow
BACKENDS = ["eager", "inductor"]
"""inductor compiles for a minute and more; both go through the same capture of graphs."""


@pytest.fixture(autouse=True)
def _nothing_compiled_before() -> Iterator[None]:
    limit = torch._dynamo.config.recompile_limit
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()
    torch._dynamo.config.recompile_limit = limit


class Losses(pl.Callback):
    """Every term of every step."""

    def __init__(self) -> None:
        self.seen: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, *_: Any) -> None:
        names = [name for name in trainer.callback_metrics if name.startswith("train/loss")]
        self.seen.append({name: trainer.callback_metrics[name].item() for name in names})


def losses_of(module: pl.LightningModule, folder: Path, *callbacks: pl.Callback) -> list[dict[str, float]]:
    losses = Losses()
    torch.manual_seed(1)
    made = trainer(folder, losses, *callbacks, max_epochs=-1, max_steps=4)
    made.fit(module, datamodule=SmallFaces(pictures=2))
    return losses.seen


def assert_trains_the_same(
    stage: str, make: Callable[[], pl.LightningModule], folder: Path, backend: str
) -> None:
    eager = losses_of(make(), folder)
    assert not counters["stats"]
    (callback,) = yaml.safe_load((EXPERIMENTS / stage / "compiled.yaml").read_text())["trainer"]["callbacks+"]
    networks = callback["init_args"]["networks"]
    compiled = losses_of(make(), folder, CompiledNetworks(networks, backend=backend))
    assert counters["stats"]["unique_graphs"] >= len(networks)
    assert len(eager) == 4
    assert eager[0] != eager[3]
    for one, other in zip(eager, compiled, strict=True):
        assert other == pytest.approx(one, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_stage_2(tmp_path: Path, face_file: str, backend: str) -> None:
    slow = dict.fromkeys(
        ("generator_lr", "identity_lr", "frame_lr", "sync_lr"), 1e-5
    )  # rounding does not grow

    def make() -> pl.LightningModule:
        return composer(feature_network=face_file, weights=LossWeights(matching=1.0), **slow)

    assert_trains_the_same("compose", make, tmp_path, backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_stage_1(tmp_path: Path, teachers: dict[str, Any], backend: str) -> None:
    assert_trains_the_same("distill", lambda: distill(**teachers), tmp_path, backend)
