"""Processor seconds of a step of stage 2 with frozen networks at work, with contexts cached, and with maps cached too.

    python experiments/benchmarks/stage2_epoch.py --output runs/benchmarks/stage2_epoch.json

Untrained networks, drawn faces, at the demo's sizes or the paper's. All fits serve the same windows; their losses
differ by rounding.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import lightning.pytorch as pl
import torch
from result_file import write_result

# beside this file
from stage1_epoch import drawn_clips, fit
from training_step import composer


class Steps(pl.Callback):
    """Processor seconds and generator loss of each step."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.losses: list[float] = []

    def on_train_batch_start(self, *_: Any) -> None:
        self._begun = time.process_time()

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self.seconds.append(time.process_time() - self._begun)
        self.losses.append(float(trainer.callback_metrics["train/loss/generator"]))


def steps(cache: Path, args: argparse.Namespace, **folders: str) -> Steps:
    """Fit from the same seed, with these caches."""
    size = 128 if args.paper else 64
    torch.manual_seed(0)
    module = composer(args.paper, size)
    module.context_cache, module.map_cache = folders.get("context_cache"), folders.get("map_cache")
    frames, step = (16, 1) if args.paper else (2, 16)
    watch = Steps()
    torch.manual_seed(1)
    fit(module, watch, cache, args.epochs, args.batch, frames, step, size)
    return watch


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--paper", action="store_true", help="the paper's sizes at 128 x 128")
    parser.add_argument("--clips", type=int, default=24, help="drawn clips, of which 70 %% are for training")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=6, help="the first does not count")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks/stage2_epoch.json"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        cache = drawn_clips(Path(folder), args.clips, 128 if args.paper else 64)
        contexts, maps = Path(folder) / "contexts", Path(folder) / "maps"
        fits = {
            "frozen networks at work": steps(cache, args),
            "contexts cached": steps(cache, args, context_cache=str(contexts)),
            "... and maps": steps(cache, args, context_cache=str(contexts), map_cache=str(maps)),
        }
        sizes = {
            kept.name: sum(file.stat().st_size for file in kept.rglob("*.safetensors"))
            / len(list(kept.rglob("*.safetensors")))
            for kept in (contexts, maps)
        }
    first = next(iter(fits.values()))
    uncounted = len(first.seconds) // args.epochs
    rows = {
        name: {
            "cpu_s_per_step": median(fitted.seconds[uncounted:]),
            "speed_up": median(first.seconds[uncounted:]) / median(fitted.seconds[uncounted:]),
            "loss_difference": max(abs(a - b) for a, b in zip(first.losses, fitted.losses, strict=True)),
        }
        for name, fitted in fits.items()
    }
    print(f"{'':26}CPU s a step  speed-up  largest difference of a loss")
    for name, row in rows.items():
        print(
            f"{name:26}{row['cpu_s_per_step']:12.3f}{row['speed_up']:10.2f}{row['loss_difference']:14.1e} of "
            f"{max(first.losses):.2f}"
        )
    print(", ".join(f"{name}: {count / 1e6:.2f} MB a clip" for name, count in sizes.items()))
    result = {"rows": rows, "bytes_a_clip": sizes, "paper": args.paper, "threads": args.threads}
    write_result(args.output, result)


if __name__ == "__main__":
    main()
