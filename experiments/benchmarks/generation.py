"""Frames a second from a speech file, on a CPU, beside SDFA's, and how long the first frame takes.

    python experiments/benchmarks/generation.py --output runs/benchmarks/generation.json

Every system reads the same recording and makes its frames as `s2v export` does, up to pixels (no video is encoded),
with its networks loaded. They take turns, round by round; a ratio is the median over rounds of two systems' rates in
the same round. Where other work shares the machine, frames per second of processor time (all threads together) say
more than frames per second. Weights are untrained: no matter for time.

"as trained" is the paper's size through the modules that are trained: no norm folded, one piece of 32 frames after the
other, which is how SDFA is run too.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
from speech_networks import NARROW, PAPER, WINDOW_FRAMES, Sizes, at_width, networks, write_speech
from torch import Tensor

from s2v.freed_memory import keep_freed_memory
from s2v.generation.pixels import to_pixels
from s2v.generation.portrait import hear_portrait
from s2v.generation.sdfa_stream import SDFAStream
from s2v.generation.speech_file import SpeechFile
from s2v.generation.streaming import StreamingGenerator
from s2v.models.sdfa import SDFA

BASELINE = "SDFA, 128 x 96"
Generate = Callable[[SpeechFile], Iterator[Tensor]]


def ours(sizes: Sizes) -> Generate:
    """What `s2v export` runs."""
    representation, generator = networks(sizes)
    return StreamingGenerator(representation, generator, WINDOW_FRAMES).frames


def as_trained(sizes: Sizes) -> Generate:
    """The method as written down: one pass for the contexts, then the generator's own `decode`."""
    representation, generator = networks(sizes)

    @torch.no_grad()
    def generate(speech: SpeechFile) -> Iterator[Tensor]:
        samples = torch.cat(list(speech))
        portrait = hear_portrait(representation, [samples], WINDOW_FRAMES * 640, 25)
        times = [(number + 0.5) / 25 for number in range(round(len(samples) / 640))]
        contexts = representation.at_times(
            representation.contexts(samples.unsqueeze(0)), torch.tensor([times])
        )
        parts, mu = generator.identity_parts(portrait.nu), portrait.emotion_at(times)
        for start in range(0, len(times), 32):
            chunk = slice(start, start + 32)
            yield to_pixels(generator.decode(contexts[:, chunk], parts, mu[:, chunk])[0])

    return generate


def sdfa() -> Generate:
    """SDFA at the published weights' size, 128 x 96 pixels."""
    still = torch.randint(0, 256, (3, 128, 96), dtype=torch.uint8)
    return SDFAStream(SDFA([128, 96]).eval(), still).frames


class Timing(NamedTuple):
    """Seconds to the first frames; frames of the whole a second, and a second of processor time."""

    first: float
    rate: float
    cpu_rate: float


def timed(generate: Generate, speech: Path) -> Timing:
    begun, cpu_begun = time.perf_counter(), time.process_time()
    portions = generate(SpeechFile(speech))
    frames = len(next(portions))
    first = time.perf_counter() - begun
    frames += sum(map(len, portions))
    return Timing(first, frames / (time.perf_counter() - begun), frames / (time.process_time() - cpu_begun))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=6.0, help="length of the speech (default 6)")
    parser.add_argument("--rounds", type=int, default=5, help="default 5, after one that is not counted")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks/generation.json"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    keep_freed_memory()  # as s2v export, for all systems
    torch.manual_seed(0)
    systems = {
        BASELINE: sdfa(),
        "width 1 (paper), as trained": as_trained(PAPER),
        "width 1 (paper)": ours(PAPER),
        "width 0.5": ours(at_width(0.5)),
        "width 0.4": ours(at_width(0.4)),
        "width 0.25": ours(at_width(0.25)),
        "width 0.4, demo's speech networks": ours(NARROW),
    }
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        speech = write_speech(Path(folder) / "speech.wav", args.seconds)
        for _ in range(args.rounds + 1):
            rounds.append({name: timed(generate, speech) for name, generate in systems.items()})
    counted = rounds[1:]
    rows = []
    for name in systems:
        timings = [(r[name], r[BASELINE]) for r in counted]
        rows.append(
            {
                "system": name,
                "frames_per_second": median(own.rate for own, _ in timings),
                "times_sdfa": median(own.rate / sdfa.rate for own, sdfa in timings),
                "frames_per_cpu_second": median(own.cpu_rate for own, _ in timings),
                "times_sdfa_cpu": median(own.cpu_rate / sdfa.cpu_rate for own, sdfa in timings),
                "first_frame_seconds": median(own.first for own, _ in timings),
            }
        )
    result = {"seconds": args.seconds, "rounds": args.rounds, "threads": args.threads, "systems": rows}
    result["torch"] = torch.__version__
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(result, indent=1) + "\n")
    print(f"{'':34} frames/s  x SDFA  frames/CPU s  x SDFA  first frame")
    for row in rows:
        print(
            f"{row['system']:34} {row['frames_per_second']:8.1f} {row['times_sdfa']:7.2f} "
            f"{row['frames_per_cpu_second']:13.1f} {row['times_sdfa_cpu']:7.2f} "
            f"{row['first_frame_seconds']:10.3f} s"
        )


if __name__ == "__main__":
    main()
