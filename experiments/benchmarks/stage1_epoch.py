"""Seconds of an epoch of stage 1 with its teachers at work, with their features cached, and with contexts cached too.

    python experiments/benchmarks/stage1_epoch.py --output runs/benchmarks/stage1_epoch.json

Paper-size networks (CPC 256, VGG-16 for fc7, SENet-50 for 8 frames a clip) with random weights, drawn faces at
128 x 128. All epochs serve the same windows and log the same losses.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from result_file import write_result

from data_modules import SyntheticFaces
from data_modules.preparation import prepare
from data_modules.synthetic.corpus import write_corpus
from s2v.models.cpc import CPC
from s2v.models.face_network import FaceNetwork
from s2v.models.senet import SENet50
from s2v.models.speech_representation import SpeechRepresentation
from s2v.models.students import StudentHead
from s2v.models.vggface import VGGFace
from s2v.modules.distill import DistillModule


class Epochs(pl.Callback):
    """Seconds and mean loss of each training epoch."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.losses: list[float] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._begun = time.perf_counter()
        self._steps: list[float] = []

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self._steps.append(float(trainer.callback_metrics["train/loss"]))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.seconds.append(time.perf_counter() - self._begun)
        self.losses.append(sum(self._steps) / len(self._steps))


def drawn_clips(folder: Path, clips: int, size: int) -> Path:
    """A cache of so many drawn clips of three people, below `folder`."""
    corpus, cache = folder / "corpus", folder / "cache"
    write_corpus(corpus, "crema_d", speakers=3, clips_per_speaker=clips // 3, seed=0, size=size)
    prepare(corpus, "crema_d", cache, size=size, workers=1, progress=False)
    return cache


def fit(
    module: pl.LightningModule,
    watch: pl.Callback,
    cache: Path,
    epochs: int,
    batch: int,
    frames: int,
    step: int,
    size: int = 128,
) -> None:
    """On windows of 40 frames of that cache's clips, so many frames of each served, `step` apart."""
    data = SyntheticFaces(
        str(cache),
        split="seen",
        image_size=size,
        window_frames=40,
        num_frames=frames,
        frame_step=step,
        batch_size=batch,
        num_workers=0,
    )
    pl.Trainer(
        accelerator="auto",
        devices=1,
        max_epochs=epochs,
        callbacks=[watch],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        limit_val_batches=0,
    ).fit(module, datamodule=data)


def epochs(cache: Path, args: argparse.Namespace, **folders: str) -> tuple[Epochs, float]:
    """Fit from the same seed, with these caches; seconds of each epoch, and of what came before the first."""
    torch.manual_seed(0)
    module = DistillModule(
        SpeechRepresentation(CPC(), StudentHead(out_dim=4096), StudentHead(out_dim=8)),
        lr=1e-4,
        **folders,  # type: ignore[arg-type]
    )
    module.teachers["identity"] = FaceNetwork(VGGFace(num_classes=2622))
    module.teachers["emotion"] = FaceNetwork(SENet50(num_classes=8))
    watch, begun = Epochs(), time.perf_counter()
    fit(module, watch, cache, args.epochs, args.batch, frames=8, step=4)
    return watch, time.perf_counter() - begun - sum(watch.seconds)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=12, help="drawn clips, of which 70 %% are for training")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=2, help="the shortest of them counts")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks/stage1_epoch.json"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        cache = drawn_clips(Path(folder), args.clips, 128)
        features, contexts = str(Path(folder) / "features"), str(Path(folder) / "contexts")
        live, _ = epochs(cache, args)
        cached, filling = epochs(cache, args, teacher_cache=features)
        silent, hearing = epochs(cache, args, teacher_cache=features, context_cache=contexts)
    result = {
        "teachers_at_work_s": min(live.seconds),
        "cached_s": min(cached.seconds),
        "contexts_too_s": min(silent.seconds),
        "ratio": min(live.seconds) / min(cached.seconds),
        "contexts_too_ratio": min(live.seconds) / min(silent.seconds),
        "filling_s": filling,
        "filling_contexts_s": hearing,
        "loss_difference": max(abs(a - b) for a, b in zip(live.losses, cached.losses, strict=True)),
        "contexts_too_loss_difference": max(
            abs(a - b) for a, b in zip(live.losses, silent.losses, strict=True)
        ),
        "clips": args.clips,
        "threads": args.threads,
    }
    print(f"epoch with teachers at work        {result['teachers_at_work_s']:8.2f} s")
    for name, label in (("", "epoch with cached features"), ("contexts_too_", "... and contexts")):
        seconds = result[f"{name or 'cached_'}s"]
        print(
            f"{label:<35}{seconds:8.2f} s   {result[f'{name}ratio']:.1f} times faster; an epoch's mean loss differs "
            f"by {result[f'{name}loss_difference']:.1e} at most"
        )
    print(
        f"filling the cache of features, once{filling:8.2f} s; of contexts, start included, {hearing:.2f} s"
    )
    write_result(args.output, result)


if __name__ == "__main__":
    main()
