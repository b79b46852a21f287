"""Both stages on next to no data, and on silence: right, or one clear line."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch

from callbacks.reproducible_randomness import ReproducibleRandomness
from callbacks.stop_on_divergence import StopOnDivergence
from data_modules.clip_cache import read_clip, read_header, write_clip
from data_modules.clip_manifest import read_manifest, write_manifest
from data_modules.crema_d import CremaD
from s2v.errors import InputError
from s2v.modules.distill import DistillModule
from tests.s2v.modules.small_faces import trainer
from tests.s2v.modules.small_modules import composer, distill

Stage = Callable[[], pl.LightningModule]


@pytest.fixture(params=["distill", "compose"])
def stage(request: pytest.FixtureRequest, teachers: dict[str, Any], face_file: str) -> Stage:
    if request.param == "distill":
        return lambda: distill(frames_per_clip=1, **teachers)
    return lambda: composer(image_size=64, feature_network=face_file, window_frames=20)


def fit(module: pl.LightningModule, cache: Path, folder: Path, **data: Any) -> pl.Trainer:
    """Two steps, with a validation after each epoch."""
    settings = {
        "image_size": 64,
        "window_frames": 20,
        "num_frames": 2,
        "batch_size": 2,
        "num_workers": 0,
    } | data
    run = trainer(
        folder,
        ReproducibleRandomness(0),
        StopOnDivergence(),
        max_steps=2,
        use_distributed_sampler=False,
        limit_val_batches=1,
    )
    run.fit(module, datamodule=CremaD(str(cache), **settings))
    return run


def subset(cache: Path, folder: Path, names: list[str]) -> Path:
    """A cache of these clips alone."""
    folder.mkdir()
    (folder / "clips").symlink_to(cache / "clips")
    rows = [row for row in read_manifest(cache / "manifest.csv") if row.clip_id in names]
    write_manifest(folder / "manifest.csv", rows)
    return folder


def test_one_speaker(stage: Stage, crema_d_cache: Path, tmp_path: Path) -> None:
    run = fit(stage(), crema_d_cache, tmp_path, speakers=["1002"])
    assert run.global_step == 2
    assert all(value.isfinite() for value in run.callback_metrics.values())


def test_one_clip(stage: Stage, crema_d_cache: Path, tmp_path: Path) -> None:
    first = read_manifest(crema_d_cache / "manifest.csv")[0].clip_id
    cache = subset(crema_d_cache, tmp_path / "one", [first])
    with pytest.raises(
        InputError,
        match=r"^the val part of split 'seen' .* is empty \(1 usable clips, 1 speakers\): prepare more",
    ):
        fit(stage(), cache, tmp_path, batch_size=2, windows_per_clip=2)


def test_a_batch_larger_than_the_split(stage: Stage, crema_d_cache: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"^batch_size 4000 on 1 device\(s\) is more than the \d+ windows .* lower"
    ):
        fit(stage(), crema_d_cache, tmp_path, batch_size=4000)


def test_a_batch_of_one_clip(stage: Stage, crema_d_cache: Path, tmp_path: Path) -> None:
    """Stage 1 learns from it; stage 2's generator normalises over the batch."""
    module = stage()
    if isinstance(module, DistillModule):
        run = fit(module, crema_d_cache, tmp_path, batch_size=1, max_clips=2)
        assert all(value.isfinite() for value in run.callback_metrics.values())
    else:
        with pytest.raises(InputError, match=r"^data\.init_args\.batch_size is 1, .* at least 2 is needed$"):
            fit(module, crema_d_cache, tmp_path, batch_size=1, max_clips=2)


def test_silence(stage: Stage, crema_d_cache: Path, tmp_path: Path) -> None:
    """Digital silence: pauses within clips have it, though a clip that is silent throughout is refused."""
    cache = tmp_path / "silent"
    rows = read_manifest(crema_d_cache / "manifest.csv")[:12]
    for row in rows:
        frames, speech = read_clip(crema_d_cache / row.cache_file)
        header = asdict(read_header(crema_d_cache / row.cache_file))
        texts = {name: str(header[name]) for name in ("fps", "source_sha256", "clip_id")} | {"settings": "{}"}
        write_clip(cache / row.cache_file, frames, np.zeros_like(speech), texts)
    write_manifest(cache / "manifest.csv", rows)
    module = stage()
    run = fit(module, cache, tmp_path)
    assert run.global_step == 2
    assert all(value.isfinite() for value in run.callback_metrics.values())
    assert all(bool(torch.isfinite(weights).all()) for weights in module.parameters())
