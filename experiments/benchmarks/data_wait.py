"""The share of a training step that the device waits for data, in real fits with 0 to 8 workers.

    python experiments/benchmarks/data_wait.py --output runs/benchmarks/data_wait.json
    python experiments/benchmarks/data_wait.py --device cuda --paper --workers 0 1 2 4 8

Trainer.fit of ComposerModule (the demo's networks at 64 x 64, or `--paper`: the paper's at 128 x 128, 16 clips of 16
pictures), at the precision that `s2v fit` chooses, from a cache of invented clips that is written here and stays in the
system's memory. Waiting is from the end of a batch to the start of the next one: fetching, copying to the device, and
Lightning's own work between. On a GPU every step is synchronised at both ends, so nothing hides behind kernels that
still run: the share is an upper bound. The last column is the same fit without synchronising, seconds of the clock a
step.
"""

import argparse
import logging
import os
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import cv2
import lightning.pytorch as pl
import numpy as np
import torch
from result_file import write_result
from training_step import WINDOW, composer

from data_modules.clip_cache import cache_file_of, write_clip
from data_modules.clip_manifest import MANIFEST_NAME, ManifestRow, write_manifest
from data_modules.preparation_settings import PreparationSettings
from data_modules.voxceleb2 import VoxCeleb2
from s2v.batch import FPS, SAMPLE_RATE
from s2v.modules.composer import ComposerModule
from s2v.training.precision import choose_precision, cuda_capabilities

SECONDS = 3
DIFFERENT = 24
"""Clips with pixels of their own; the others share their files, as they would share the system's memory."""


class Waiting(pl.Callback):
    """Clocks the time between batches and the time of batches.

    Args:
        synchronise: wait for the GPU at both ends of a batch.
        uncounted: batches at the beginning, while workers start and kernels are chosen.
    """

    def __init__(self, synchronise: bool, uncounted: int) -> None:
        self.synchronise = synchronise
        self.uncounted = uncounted
        self.waits: list[float] = []
        self.steps: list[float] = []
        self._started = self._ended = 0.0

    def on_train_batch_start(self, trainer: pl.Trainer, *args: Any) -> None:
        """The batch is on the device, or on its way there."""
        now = self._now()
        if len(self.steps) >= self.uncounted:
            self.waits.append(now - self._ended)
        self._started = now

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        self._ended = self._now()
        self.steps.append(self._ended - self._started)

    def _now(self) -> float:
        if self.synchronise:
            torch.cuda.synchronize()
        return time.perf_counter()

    def result(self) -> dict[str, float]:
        """Means over the counted batches."""
        wait = sum(self.waits) / len(self.waits)
        step = sum(self.steps[self.uncounted :]) / len(self.waits)
        return {"step_seconds": wait + step, "wait_seconds": wait, "share": wait / (wait + step)}


def write_cache(folder: Path, clips: int, size: int, jpeg_quality: int) -> None:
    """A cache as `prepare` leaves it, in VoxCeleb2's layout: smooth pictures that change, and noise."""
    draw, rows = np.random.default_rng(0), []
    settings, frames = PreparationSettings(size=size, jpeg_quality=jpeg_quality), SECONDS * FPS
    for number in range(clips):
        clip_id = f"id{number // 8:05}/abc/{number % 8:05}"
        file = cache_file_of(clip_id)
        if number < DIFFERENT:
            coarse = draw.integers(0, 256, (frames, 12, 12, 3), dtype=np.uint8)
            pictures = np.stack([cv2.resize(picture, (size, size)) for picture in coarse])
            speech = draw.normal(0, 3000, SECONDS * SAMPLE_RATE).astype(np.int16)
            header = {
                "fps": str(FPS),
                "sample_rate": str(SAMPLE_RATE),
                "source_sha256": "",
                "source_fps": str(FPS),
                "settings": settings.key(),
                "clip_id": clip_id,
            }
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            write_clip(folder / file, pictures.transpose(0, 3, 1, 2), speech, header, jpeg_quality)
        else:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            os.link(folder / rows[number % DIFFERENT].cache_file, folder / file)
        rows.append(
            ManifestRow(
                clip_id,
                "ok",
                source=f"{clip_id}.mp4",
                cache_file=file,
                duration=float(SECONDS),
                frames=frames,
                fps=float(FPS),
                source_fps=float(FPS),
                speaker=f"id{number // 8:05}",
            )
        )
    write_manifest(folder / MANIFEST_NAME, rows)


def fit(
    module: ComposerModule, cache: Path, args: argparse.Namespace, workers: int, synchronise: bool
) -> dict[str, float]:
    """One fit, never more than an epoch long."""
    steps = args.uncounted + args.steps
    data = VoxCeleb2(
        str(cache),
        split="seen",
        image_size=module.image_size,
        window_frames=WINDOW,
        num_frames=args.frames,
        batch_size=args.clips,
        num_workers=workers,
        windows_per_clip=-(-(steps + 1) * args.clips // (args.cached // 2)),
    )
    waiting = Waiting(synchronise, args.uncounted)
    accelerator = "gpu" if args.device == "cuda" else "cpu"
    precision = choose_precision(accelerator, cuda_capabilities() if accelerator == "gpu" else [])[0]
    trainer = pl.Trainer(
        accelerator=accelerator,
        devices=1,
        precision=precision,
        max_steps=steps,
        limit_val_batches=0,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[waiting],
    )
    trainer.fit(module, datamodule=data)
    return waiting.result()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="default cpu")
    parser.add_argument("--paper", action="store_true", help="the paper's sizes at 128 x 128")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2, 4, 8], help="default 0 1 2 4 8")
    parser.add_argument("--steps", type=int, default=40, help="of a fit that count (default 40)")
    parser.add_argument("--uncounted", type=int, default=10, help="steps before them (default 10)")
    parser.add_argument("--clips", type=int, help="a batch (default 8, the paper's 16)")
    parser.add_argument("--frames", type=int, help="pictures of each (default 2, the paper's 16)")
    parser.add_argument("--cached", type=int, default=96, help="clips of the cache (default 96)")
    parser.add_argument("--jpeg-quality", type=int, default=0, help="of a JPEG cache (default: raw pixels)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of the fit (default 2)")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks/data_wait.json"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_float32_matmul_precision("high")  # as s2v fit
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")  # Lightning's advice about workers
    args.clips, args.frames = (
        args.clips or (16 if args.paper else 8),
        args.frames or (16 if args.paper else 2),
    )
    gpu, size, rows = args.device == "cuda", 128 if args.paper else 64, []
    torch.manual_seed(0)
    module = composer(args.paper, size)
    print(f"{'workers':>7} s a step  s waiting   share" + ("  s a step, not synchronised" if gpu else ""))
    with tempfile.TemporaryDirectory() as name:
        cache = Path(name)
        write_cache(cache, args.cached, size, args.jpeg_quality)
        for workers in args.workers:
            row = {"workers": workers, **fit(module, cache, args, workers, synchronise=gpu)}
            if gpu:
                free = fit(module, cache, args, workers, synchronise=False)
                row["free_step_seconds"] = free["step_seconds"]
            rows.append(row)
            line = f"{workers:7} {row['step_seconds']:8.4f} {row['wait_seconds']:10.4f} {row['share']:7.1%}"
            print(line + (f" {row['free_step_seconds']:27.4f}" if gpu else ""), flush=True)
            result = {name: getattr(args, name) for name in ("device", "paper", "clips", "frames", "steps")}
            result |= {"jpeg_quality": args.jpeg_quality, "fits": rows}
            write_result(args.output, result)


if __name__ == "__main__":
    main()
