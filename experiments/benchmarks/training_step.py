"""Seconds of a step of stage 2 under each setting that could make it faster, in turns, on this machine.

    python experiments/benchmarks/training_step.py --output runs/benchmarks/training_step.json

The demo's networks at 64 x 64 (or `--paper`: the paper's at 128 x 128), random frames and speech. A step is
ComposerModule's: one generation, the discriminators' losses, the generator's. What is compared with the step as shipped
changes one thing each: a backward pass for every loss instead of one for the three discriminators, tensors in PyTorch's
own order, bfloat16 where autocast allows it, torch.compile of what `experiments/compose/compiled.yaml` names (in
rounds that are not counted), and the optimizer's other implementations.
"""

import argparse
import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from speech_networks import NARROW, PAPER, networks

from callbacks.compiled_networks import RECOMPILE_LIMIT
from s2v.losses.least_squares import discriminator_loss
from s2v.models.discriminators import FrameDiscriminator, IdentityDiscriminator, SyncDiscriminator
from s2v.models.face_network import FaceNetwork
from s2v.models.vggface import VGGFace
from s2v.modules.adversarial import normalise
from s2v.modules.composer import ComposerModule

WINDOW = 40


@dataclass(frozen=True)
class Setting:
    """What differs from the step as shipped."""

    separate: bool = False
    channels_last: bool = False  # as fits on a GPU have it
    bfloat16: bool = False
    compiled: bool = False
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.RMSprop
    options: tuple[tuple[str, bool], ...] = ()


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


def composer(paper: bool, size: int) -> ComposerModule:
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
    )
    face = VGGFace(image_size=size, width=sizes.feature_width, num_classes=8, batch_norm=True)
    module.feature_networks["face"] = FaceNetwork(face).eval().requires_grad_(False)
    return module.train()


class Step:
    """One training of its own, so that settings can take turns."""

    def __init__(self, setting: Setting, paper: bool, size: int) -> None:
        torch.manual_seed(0)
        self.setting, self.module = setting, composer(paper, size)
        if setting.channels_last:
            self.module.generator.to(memory_format=torch.channels_last)
        parts = [self.module.generator, *self.module.discriminators.values()]
        if setting.compiled:
            torch._dynamo.config.recompile_limit = RECOMPILE_LIMIT
            for part in (*parts, self.module.representation.cpc):
                part.compile()
        self.optimizers = [setting.optimizer(p.parameters(), lr=1e-4, **dict(setting.options)) for p in parts]

    def __call__(self, batch: dict[str, Any]) -> None:
        module = self.module
        with torch.autocast("cpu", torch.bfloat16) if self.setting.bfloat16 else nullcontext():
            real = normalise(batch["frames"])
            with torch.no_grad():
                contexts, nu, mu = module.representation(batch["speech"], batch["frame_times"])
                maps = module.face_network.feature_maps(batch["still"])
            fake, inflated = module.generator(contexts, nu, mu)
            real_scores = module.score_real(maps, real, contexts)
            fake_scores = module.score_fake([m.detach() for m in inflated], fake.detach(), real, contexts)
            losses = [discriminator_loss(real_scores[name], fake_scores[name]) for name in real_scores]
        for loss in losses if self.setting.separate else [torch.stack(losses).sum()]:
            loss.backward()
        for optimizer in self.optimizers[1:]:
            optimizer.step()
            optimizer.zero_grad()
        module.discriminators.requires_grad_(False)
        with torch.autocast("cpu", torch.bfloat16) if self.setting.bfloat16 else nullcontext():
            terms = module.generator_losses(inflated, fake, real, contexts)
        torch.stack(list(terms.values())).sum().backward()
        self.optimizers[0].step()
        self.optimizers[0].zero_grad()
        module.discriminators.requires_grad_(True)


def random_batch(clips: int, frames: int, size: int) -> dict[str, Any]:
    return {
        "frames": torch.randint(0, 256, (clips, frames, 3, size, size), dtype=torch.uint8),
        "still": torch.randint(0, 256, (clips, 3, size, size), dtype=torch.uint8),
        "speech": 0.1 * torch.randn(clips, WINDOW * 640),
        "frame_times": (torch.arange(frames) + 0.5).expand(clips, -1) / 25,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--paper", action="store_true", help="the paper's sizes at 128 x 128")
    parser.add_argument("--clips", type=int, default=8, help="a batch (default 8)")
    parser.add_argument("--frames", type=int, default=2, help="pictures of each (default 2)")
    parser.add_argument("--rounds", type=int, default=7, help="default 7, after two that are not counted")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks/training_step.json"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    size = 128 if args.paper else 64
    steps = {name: Step(setting, args.paper, size) for name, setting in SETTINGS.items()}
    batch, rounds = random_batch(args.clips, args.frames, size), []
    for _ in range(args.rounds + 2):
        taken = {}
        for name, step in steps.items():
            begun = time.process_time()
            step(batch)
            taken[name] = time.process_time() - begun
        rounds.append(taken)
    shipped, rows = next(iter(SETTINGS)), []
    for name in steps:
        rows.append(
            {
                "setting": name,
                "cpu_seconds": median(r[name] for r in rounds[2:]),
                "times_faster": median(r[shipped] / r[name] for r in rounds[2:]),
            }
        )
    args.output.parent.mkdir(parents=True, exist_ok=True)
    result = {"paper": args.paper, "clips": args.clips, "frames": args.frames, "settings": rows}
    args.output.write_text(json.dumps(result, indent=1) + "\n")
    print(f"{'':50} s of CPU a step  times as shipped's speed")
    for row in rows:
        print(f"{row['setting']:50} {row['cpu_seconds']:14.3f} {row['times_faster']:24.2f}")


if __name__ == "__main__":
    main()
