"""Seconds of a step of stage 2 under each setting that could make it faster, in turns, on this machine.

    python experiments/benchmarks/training_step.py --output runs/benchmarks/training_step.json
    python experiments/benchmarks/training_step.py --device cuda --paper --budget 200

The demo's networks at 64 x 64 (or `--paper`: the paper's at 128 x 128), random frames and speech. A step is
ComposerModule's: one generation, the discriminators' losses, the generator's. What is compared with the step as shipped
changes one thing each: a backward pass for every loss instead of one for the three discriminators, tensors in PyTorch's
own order, bfloat16 where autocast allows it, torch.compile of what `experiments/compose/compiled.yaml` names (in
rounds that are not counted), and the optimizer's other implementations.

With `--device cuda` the first row is the naive step (float32 without TF32, 4 backward passes), what follows changes one
thing of the step with 2 backward passes, and the last rows join them. Seconds are by the clock, synchronised; settings
come one after the other, each alone on the GPU, and one that fails leaves its reason. Every setting makes the same
steps from the same weights and batch: the generator's loss and the L1 of its frames after the last tell whether it
trains alike. The first two rows are the same training, so their difference is what the order of sums does; Adam's is
another training.
"""

import argparse
import gc
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from gpu_settings import failure, gpu_arithmetic, time_limit
from result_file import write_result
from speech_networks import NARROW, PAPER, networks

from callbacks.compiled_networks import RECOMPILE_LIMIT
from s2v.losses.least_squares import discriminator_loss
from s2v.models.discriminators import FrameDiscriminator, IdentityDiscriminator, SyncDiscriminator
from s2v.models.face_network import FaceNetwork
from s2v.models.vggface import VGGFace
from s2v.modules.adversarial import normalise, weighted_sum
from s2v.modules.composer import ComposerModule, LossWeights

WINDOW = 40
WARM_UP, BLOCKS = 5, 3
"""On a GPU: steps that are not counted, then blocks of `--rounds` steps."""


@dataclass(frozen=True)
class Setting:
    """What differs from the step as shipped."""

    separate: bool = False
    channels_last: bool = False  # as fits on a GPU have it: the generator
    channels_last_everywhere: bool = False
    bfloat16: bool = False
    compiled: bool = False
    mode: str | None = None  # of torch.compile
    tf32: bool = False  # on a GPU, as cudnn_benchmark
    cudnn_benchmark: bool = False
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.RMSprop
    options: tuple[tuple[str, bool], ...] = ()

    def arithmetic(self) -> AbstractContextManager[None]:
        """Of everything but autocast, which the step has round its forward passes."""
        return gpu_arithmetic(tf32=self.tf32, cudnn_benchmark=self.cudnn_benchmark)


SETTINGS = {
    "as shipped (float32, 2 backward passes, RMSprop)": Setting(),
    "4 backward passes": Setting(separate=True),
    "channels-last": Setting(channels_last=True),
    "bf16-mixed": Setting(bfloat16=True),
    "torch.compile": Setting(compiled=True),
    "RMSprop(foreach=True)": Setting(options=(("foreach", True),)),
    "Adam": Setting(optimizer=torch.optim.Adam),
    "Adam(foreach=True)": Setting(optimizer=torch.optim.Adam, options=(("foreach", True),)),
    "Adam(fused=True)": Setting(optimizer=torch.optim.Adam, options=(("fused", True),)),
}

FUSED = {"optimizer": torch.optim.Adam, "options": (("fused", True),)}
AS_FIT: dict[str, Any] = {"channels_last": True, "bfloat16": True, "tf32": True}
TOGETHER = AS_FIT | {"channels_last_everywhere": True, "cudnn_benchmark": True}
GPU_SETTINGS = {
    "naive (float32, 4 backward passes, RMSprop)": Setting(separate=True),
    "2 backward passes": Setting(),
    "channels-last generator": Setting(channels_last=True),
    "channels-last everywhere": Setting(channels_last_everywhere=True),
    "TF32": Setting(tf32=True),
    "bf16-mixed": Setting(bfloat16=True),
    "bf16 + channels-last": Setting(channels_last=True, bfloat16=True),
    "bf16 + channels-last + TF32 (a fit's default)": Setting(**AS_FIT),
    "all but compiling": Setting(**TOGETHER),
    "all but compiling, Adam(fused=True)": Setting(**TOGETHER, **FUSED),
    "bf16 + channels-last + compile": Setting(**AS_FIT, compiled=True),
    "all together": Setting(**TOGETHER, compiled=True),
    "Adam": Setting(optimizer=torch.optim.Adam),
    "Adam(fused=True)": Setting(**FUSED),
    "RMSprop(foreach=False)": Setting(options=(("foreach", False),)),
    "cudnn.benchmark": Setting(cudnn_benchmark=True),
    "all together, reduce-overhead": Setting(**TOGETHER, compiled=True, mode="reduce-overhead"),
    "all together, Adam(fused=True)": Setting(**TOGETHER, **FUSED, compiled=True),
    "torch.compile": Setting(compiled=True),
}
"""What says most in little time comes first: where `--budget` is used up, the last ones are missing."""


def composer(paper: bool, size: int, matching: float = 0.0) -> ComposerModule:
    sizes = PAPER if paper else NARROW
    representation, generator = networks(type(sizes)(**{**sizes.__dict__, "image_size": size}))
    width = 1.0 if paper else 0.125
    module = ComposerModule(
        representation,
        generator,
        IdentityDiscriminator(feature_width=sizes.feature_width, width=min(1.0, 2 * width)),
        FrameDiscriminator(width=width, layers=4 if paper else 3),
        SyncDiscriminator(sizes.hidden, size, width=width),
        window_frames=WINDOW,
        # compose.yaml's
        weights=LossWeights(identity=0.01, frame=0.03, sync=0.02, mouth=3.0, matching=matching),
        similarity_region="full",
    )
    face = VGGFace(image_size=size, width=sizes.feature_width, num_classes=8, batch_norm=True)
    module.feature_networks["face"] = FaceNetwork(face).eval().requires_grad_(False)
    return module.train()


class Step:
    """One training of its own, so that settings can take turns.

    Attributes:
        terms: of the generator's loss in the last step, and `generator`, their weighted sum.
    """

    def __init__(self, setting: Setting, args: argparse.Namespace, size: int, device: str = "cpu") -> None:
        torch.manual_seed(0)
        with torch.device(device):
            self.module = composer(args.paper, size, float(args.matching)).to(device)
        self.setting, self.device = setting, device
        self.terms: dict[str, torch.Tensor] = {}
        parts = [self.module.generator, *self.module.discriminators.values()]
        if setting.channels_last:
            self.module.generator.to(memory_format=torch.channels_last)
        if setting.channels_last_everywhere:
            for part in (*parts, self.module.face_network):
                part.to(memory_format=torch.channels_last)
        if setting.compiled:
            torch._dynamo.config.recompile_limit = RECOMPILE_LIMIT
            for part in (*parts, self.module.representation.cpc):
                part.compile(mode=setting.mode)
        self.optimizers = [setting.optimizer(p.parameters(), lr=1e-4, **dict(setting.options)) for p in parts]

    def __call__(self, batch: dict[str, Any]) -> None:
        module = self.module
        if self.setting.mode == "reduce-overhead":
            torch.compiler.cudagraph_mark_step_begin()
        with self._autocast():
            real = normalise(batch["frames"])
            with torch.no_grad():
                contexts, nu, mu = module.representation(batch["speech"], batch["frame_times"])
                maps = module.face_network.feature_maps(batch["still"])
            fake, inflated = module.generator(contexts, nu, mu)
            seen = module.seen_by_sync(real)
            real_scores = module.score_real(maps, real, contexts, seen)
            fake_scores = module.score_fake([m.detach() for m in inflated], fake.detach(), contexts, seen)
            losses = [discriminator_loss(real_scores[name], fake_scores[name]) for name in real_scores]
        for loss in losses if self.setting.separate else [torch.stack(losses).sum()]:
            loss.backward()
        for optimizer in self.optimizers[1:]:
            optimizer.step()
            optimizer.zero_grad()
        module.discriminators.requires_grad_(False)
        with self._autocast():
            terms = module.generator_losses(inflated, fake, real, contexts)
        total = weighted_sum(terms, module.weights)
        total.backward()
        self.optimizers[0].step()
        self.optimizers[0].zero_grad()
        module.discriminators.requires_grad_(True)
        self.terms = {name: term.detach() for name, term in (terms | {"generator": total}).items()}

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device, torch.bfloat16, enabled=self.setting.bfloat16)


def random_batch(clips: int, frames: int, size: int) -> dict[str, Any]:
    return {
        "frames": torch.randint(0, 256, (clips, frames, 3, size, size), dtype=torch.uint8),
        "still": torch.randint(0, 256, (clips, 3, size, size), dtype=torch.uint8),
        "speech": 0.1 * torch.randn(clips, WINDOW * 640),
        "frame_times": (torch.arange(frames) + 0.5).expand(clips, -1) / 25,
    }


def on_cpu(chosen: dict[str, Setting], args: argparse.Namespace, size: int) -> list[dict[str, Any]]:
    """Settings take turns, round by round."""
    steps = {name: Step(setting, args, size) for name, setting in chosen.items()}
    batch, rounds = random_batch(args.clips, args.frames, size), []
    for _ in range(args.rounds + 2):
        taken = {}
        for name, step in steps.items():
            begun = time.process_time()
            step(batch)
            taken[name] = time.process_time() - begun
        rounds.append(taken)
    shipped = next(iter(chosen))
    return [
        {
            "setting": name,
            "cpu_seconds": median(r[name] for r in rounds[2:]),
            "times_faster": median(r[shipped] / r[name] for r in rounds[2:]),
        }
        for name in steps
    ]


def on_gpu(chosen: dict[str, Setting], args: argparse.Namespace, size: int) -> list[dict[str, Any]]:
    """One setting after the other, its networks alone on the GPU; rows are printed as they come."""
    begun, rows = time.monotonic(), []
    print(f"{'':46} s a step  x {'naive':6} peak GB  GB a clip     loss      L1  s in all", flush=True)
    for name, setting in chosen.items():
        row: dict[str, Any] = {"setting": name}
        started = time.monotonic()
        try:
            with time_limit(args.budget - (started - begun)), setting.arithmetic():
                row |= measure_on_gpu(setting, args, size)
        except Exception as error:
            row["failed"] = failure(error)
        row["seconds_in_all"] = time.monotonic() - started
        if "seconds" in row and "seconds" in (rows or [row])[0]:
            row["times_faster"] = (rows or [row])[0]["seconds"] / row["seconds"]
        rows.append(row)
        write(args, rows)
        print(told(row), flush=True)
        torch._dynamo.reset()
        gc.collect()
        torch.cuda.empty_cache()
    return rows


def measure_on_gpu(setting: Setting, args: argparse.Namespace, size: int) -> dict[str, Any]:
    """Median seconds of a step over blocks of steps, memory, and what the last step's losses were."""
    step = Step(setting, args, size, "cuda")
    torch.manual_seed(1)  # of the batch, and of the shifts that D_sync draws
    batch = {name: value.cuda() for name, value in random_batch(args.clips, args.frames, size).items()}
    for _ in range(WARM_UP):
        step(batch)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    blocks = []
    for _ in range(BLOCKS):
        begun = time.perf_counter()
        for _ in range(args.rounds):
            step(batch)
        torch.cuda.synchronize()
        blocks.append((time.perf_counter() - begun) / args.rounds)
    peak = torch.cuda.max_memory_allocated()
    terms = {name: float(term) for name, term in step.terms.items()}
    return {
        "seconds": median(blocks),
        "block_seconds": blocks,
        "peak_bytes": peak,
        "peak_bytes_per_clip": peak / args.clips,
        "steps": WARM_UP + BLOCKS * args.rounds,
        "terms": terms,
    }


def told(row: dict[str, Any]) -> str:
    """A setting's line of the GPU's table."""
    if "failed" in row:
        return f"{row['setting']:46} {row['failed']}"
    return (
        f"{row['setting']:46} {row['seconds']:8.4f} {row.get('times_faster', float('nan')):7.2f} "
        f"{row['peak_bytes'] / 1e9:9.2f} {row['peak_bytes_per_clip'] / 1e9:10.3f} {row['terms']['generator']:8.4f} "
        f"{row['terms']['similarity']:7.4f} {row['seconds_in_all']:9.1f}"
    )


def write(args: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    result = {"paper": args.paper, "clips": args.clips, "frames": args.frames, "settings": rows}
    write_result(args.output, result)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="default cpu")
    parser.add_argument("--paper", action="store_true", help="the paper's sizes at 128 x 128")
    parser.add_argument(
        "--matching", action="store_true", help="with feature matching, as compose.yaml has it"
    )
    parser.add_argument("--clips", type=int, help="a batch (default 8; the paper's sizes on a GPU: 16)")
    parser.add_argument("--frames", type=int, help="pictures of each (default 2; likewise 16)")
    parser.add_argument(
        "--settings", nargs="+", metavar="NAME", help="those that hold one of these, and the first"
    )
    parser.add_argument(
        "--rounds",
        type=int,
        help="on a CPU 7, after two that are not counted; on a GPU three times 5 steps, after 5 that are not",
    )
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    parser.add_argument(
        "--budget",
        type=float,
        default=100,
        help="seconds that a GPU's settings take, all together (default 100)",
    )
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks/training_step.json"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    size, gpu = 128 if args.paper else 64, args.device == "cuda"
    args.clips = args.clips or (16 if gpu and args.paper else 8)
    args.frames = args.frames or (16 if gpu and args.paper else 2)
    args.rounds = args.rounds or (5 if gpu else 7)
    known = GPU_SETTINGS if gpu else SETTINGS
    wanted, first = args.settings or [""], next(iter(known))
    chosen = {n: s for n, s in known.items() if n == first or any(part in n for part in wanted)}
    if gpu:
        on_gpu(chosen, args, size)
        return
    rows = on_cpu(chosen, args, size)
    write(args, rows)
    print(f"{'':50} s of CPU a step  times as shipped's speed")
    for row in rows:
        print(f"{row['setting']:50} {row['cpu_seconds']:14.3f} {row['times_faster']:24.2f}")


if __name__ == "__main__":
    main()
