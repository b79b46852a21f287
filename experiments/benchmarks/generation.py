"""Frames a second from a speech file beside SDFA's, and how long the first frame takes.

    python experiments/benchmarks/generation.py --output runs/benchmarks/generation.json
    python experiments/benchmarks/generation.py --device cuda --seconds 60 --rounds 3

Every system reads the same recording and makes its frames as `s2v export` does, up to pixels (no video is encoded),
with its networks loaded. They take turns, round by round; a ratio is the median over rounds of two systems' rates in
the same round. Where other work shares the machine, frames per second of processor time (all threads together) say
more than frames per second. Weights are untrained: no matter for time.

"as trained" is the paper's size through the modules that are trained: no norm folded, one piece of 32 frames after the
other, which is how SDFA is run too. Ours computes what SDFA makes of the picture once a clip; "as published" is SDFA as
its authors' code runs it, where each frame takes the picture's maps through the convolutions again.

With `--device cuda` the networks lie on the GPU and the frames end on the CPU, as pixels, so that everything is waited
for. What changes is the size of a chunk, the arithmetic, and how many recordings of one length are decoded together;
real time is 25 frames a second, and of several recordings each counts by itself. A system that fails leaves its reason.
"""

import argparse
import gc
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from gpu_settings import failure, gpu_arithmetic
from result_file import write_result
from speech_networks import DEFAULT, NARROW, PAPER, WINDOW_FRAMES, Sizes, at_width, networks, write_speech
from torch import Tensor

from s2v.generation.pixels import to_pixels
from s2v.generation.sdfa_stream import NOISE_SEED, SDFAStream
from s2v.generation.speech_file import SpeechFile
from s2v.generation.streaming import StreamingGenerator
from s2v.models.folded_frame_decoder import FoldedFrameDecoder
from s2v.models.sdfa import SDFA
from s2v.process.freed_memory import keep_freed_memory
from s2v.speech.portrait import hear_portrait

BASELINE = "SDFA, 128 x 96"
PUBLISHED = "SDFA, 128 x 96, as published"
FPS = 25
STREAMS = 8
Generate = Callable[[SpeechFile], Iterator[Tensor]]
Arithmetic = Callable[[], AbstractContextManager[Any]]


def ours(sizes: Sizes, device: str = "cpu", chunk: int | None = None) -> Generate:
    """What `s2v export` runs."""
    representation, generator = networks(sizes)
    return StreamingGenerator(
        representation, generator, WINDOW_FRAMES, device=device, chunk_frames=chunk
    ).frames


class Compiled:
    """A frame decoder whose call is compiled; all else is its own."""

    def __init__(self, decoder: FoldedFrameDecoder) -> None:
        self._decoder = decoder
        self._call = torch.compile(decoder.__call__)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decoder, name)

    def __call__(self, *inputs: Any) -> Tensor:
        return self._call(*inputs)


def compiled(sizes: Sizes, device: str) -> Generate:
    """What `s2v export` would run if it compiled the decoder."""
    representation, generator = networks(sizes)
    stream = StreamingGenerator(representation, generator, WINDOW_FRAMES, device=device)
    decoder: Any = Compiled(stream._decoder)
    stream._decoder = decoder
    return stream.frames


def within(arithmetic: Arithmetic, generate: Generate) -> Generate:
    """Generation in other arithmetic."""

    def frames(speech: SpeechFile) -> Iterator[Tensor]:
        portions = generate(speech)
        while True:
            with arithmetic():
                portion = next(portions, None)
            if portion is None:
                return
            yield portion

    return frames


def together(sizes: Sizes, device: str, chunk: int) -> Generate:
    """`STREAMS` recordings of one length, here the same one, decoded in common chunks of `chunk` frames."""
    representation, generator = (network.to(device) for network in networks(sizes))
    decoder = FoldedFrameDecoder(generator.frame_decoder)

    @torch.no_grad()
    def generate(speech: SpeechFile) -> Iterator[Tensor]:
        recordings = [torch.cat(list(speech)).to(device) for _ in range(STREAMS)]
        portraits = [
            hear_portrait(representation, [samples], WINDOW_FRAMES * 640, FPS) for samples in recordings
        ]
        times = [(number + 0.5) / FPS for number in range(round(len(recordings[0]) / 640))]
        contexts = representation.at_times(
            representation.contexts(torch.stack(recordings)), torch.tensor([times] * STREAMS, device=device)
        )
        parts = decoder.identity_parts(generator.identity_maps(torch.cat([p.nu for p in portraits])))
        mu = torch.cat([portrait.emotion_at(times) for portrait in portraits])
        for start in range(0, len(times), chunk // STREAMS):
            now = slice(start, start + chunk // STREAMS)
            yield to_pixels(decoder(contexts[:, now], mu[:, now], parts)).flatten(0, 1).cpu()

    return generate


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


def sdfa_and_picture() -> tuple[SDFA, Tensor]:
    """SDFA at the published weights' size, 128 x 96 pixels."""
    return SDFA([128, 96]).eval(), torch.randint(0, 256, (3, 128, 96), dtype=torch.uint8)


def sdfa(network: SDFA, still: Tensor, device: str = "cpu") -> Generate:
    """What `s2v export` runs."""
    return SDFAStream(network, still, device=device).frames


def sdfa_as_published(network: SDFA, still: Tensor) -> Generate:
    """SDFA as its public code runs it: a recording is one batch, into which the picture's maps are copied per frame.

    That code keeps what a backward pass would need, too, which is left out here.
    """
    decoder = network.generator

    @torch.no_grad()
    def generate(speech: SpeechFile) -> Iterator[Tensor]:
        codes = network.hear(torch.cat(list(speech)).unsqueeze(0))
        frames = codes.shape[1]
        identity = network.identify((still.float() / 127.5 - 1).unsqueeze(0))
        noise, _ = decoder.shape_noise(
            network.draw_noise(1, frames, torch.Generator().manual_seed(NOISE_SEED))
        )
        x = torch.cat([codes, noise, identity.code.expand(1, frames, -1)], dim=-1)
        x = decoder.dcl[0](x.view(frames, -1, 1, 1))
        for block, skip in zip(decoder.dcl[1:-1], identity.skips, strict=False):
            x = block.dcl1(torch.cat([x, skip.repeat(frames, 1, 1, 1)], dim=1))
            x = block.activation2(block.dcl2(block.activation1(x)))
        yield to_pixels(torch.tanh(decoder.dcl[-1](x)))

    return generate


def gpu_systems() -> dict[str, Callable[[], Generate]]:
    """What is compared on a GPU, each to be made in its turn."""
    device, bfloat16 = "cuda", partial(gpu_arithmetic, tf32=True, bfloat16=True)
    systems: dict[str, Callable[[], Generate]] = {BASELINE: lambda: sdfa(*sdfa_and_picture(), device)}
    for chunk in (64, 256, 1024):
        systems[f"width 1 (paper), chunks of {chunk}"] = partial(ours, PAPER, device, chunk)
    for chunk in (64, 256, 1024):
        systems[f"{STREAMS} at once, chunks of {chunk}"] = partial(together, PAPER, device, chunk)
    return systems | {
        "width 1, no TF32": lambda: within(gpu_arithmetic, ours(PAPER, device)),
        "width 1, TF32 everywhere": lambda: within(partial(gpu_arithmetic, tf32=True), ours(PAPER, device)),
        "width 1, bf16": lambda: within(bfloat16, ours(PAPER, device)),
        "width 1, bf16, chunks of 1024": lambda: within(bfloat16, ours(PAPER, device, 1024)),
        f"{STREAMS} at once, bf16, chunks of 1024": lambda: within(bfloat16, together(PAPER, device, 1024)),
        "width 0.4, chunks of 256": partial(ours, at_width(0.4), device),
        "width 1, compiled": partial(compiled, PAPER, device),
        "width 1, bf16, compiled": lambda: within(bfloat16, compiled(PAPER, device)),
    }


def on_gpu(args: argparse.Namespace) -> None:
    """One system after the other, its networks alone on the GPU; rows are printed as they come."""
    rows: list[dict[str, Any]] = []
    print(f"{'':38} frames/s  x real time  in all  x SDFA  first frame  peak GB  s in all", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        speech = write_speech(Path(folder) / "speech.wav", args.seconds)
        for name, make in gpu_systems().items():
            row, streams, begun = {"system": name}, STREAMS if "at once" in name else 1, time.perf_counter()
            try:
                generate = make()
                timed(generate, speech)
                torch.cuda.reset_peak_memory_stats()
                timings = [timed(generate, speech) for _ in range(args.rounds)]
                rate = median(timing.rate for timing in timings)
                row |= {
                    "streams": streams,
                    "frames_per_second": rate,
                    "times_real_time_per_stream": rate / FPS / streams,
                    "times_real_time": rate / FPS,
                    "first_frame_seconds": median(timing.first for timing in timings),
                    "peak_bytes": torch.cuda.max_memory_allocated(),
                }
                published = rows[0] if rows else row
                if "frames_per_second" in published:
                    row["times_sdfa"] = rate / published["frames_per_second"]
            except Exception as error:
                row["failed"] = failure(error)
            generate = None
            row["seconds_in_all"] = time.perf_counter() - begun
            rows.append(row)
            print(told(row), flush=True)
            result = {"seconds": args.seconds, "rounds": args.rounds, "systems": rows}
            write_result(args.output, result)
            torch._dynamo.reset()
            gc.collect()
            torch.cuda.empty_cache()


def told(row: dict[str, Any]) -> str:
    """A system's line of the GPU's table."""
    if "failed" in row:
        return f"{row['system']:38} {row['failed']}"
    return (
        f"{row['system']:38} {row['frames_per_second']:8.0f} {row['times_real_time_per_stream']:12.1f} "
        f"{row['times_real_time']:7.1f} {row.get('times_sdfa', math.nan):7.2f} {row['first_frame_seconds']:10.3f} s "
        f"{row['peak_bytes'] / 1e9:8.2f} {row['seconds_in_all']:9.1f}"
    )


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
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="default cpu")
    parser.add_argument("--seconds", type=float, default=6.0, help="length of the speech (default 6)")
    parser.add_argument("--rounds", type=int, default=5, help="default 5, after one that is not counted")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks/generation.json"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    keep_freed_memory()  # as s2v export, for all systems
    torch.manual_seed(0)
    if args.device == "cuda":
        on_gpu(args)
        return
    systems = {
        PUBLISHED: sdfa_as_published(*sdfa_and_picture()),
        BASELINE: sdfa(*sdfa_and_picture()),
        "width 1 (paper), as trained": as_trained(PAPER),
        "width 1 (paper)": ours(PAPER),
        "width 0.5, subpixel (default)": ours(DEFAULT),
        "width 0.7": ours(at_width(0.7)),
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
        own = [timings[name] for timings in counted]
        row: dict[str, Any] = {
            "system": name,
            "frames_per_second": median(timing.rate for timing in own),
            "frames_per_cpu_second": median(timing.cpu_rate for timing in own),
            "first_frame_seconds": median(timing.first for timing in own),
        }
        for baseline, key in ((BASELINE, "sdfa"), (PUBLISHED, "published_sdfa")):
            theirs = [timings[baseline] for timings in counted]
            pairs = list(zip(own, theirs, strict=True))
            row[f"times_{key}"] = median(a.rate / b.rate for a, b in pairs)
            row[f"times_{key}_cpu"] = median(a.cpu_rate / b.cpu_rate for a, b in pairs)
        rows.append(row)
    result = {"seconds": args.seconds, "rounds": args.rounds, "threads": args.threads, "systems": rows}
    write_result(args.output, result)
    print(f"{'':34} {'frames/s':>8} {'x SDFA':>17} {'frames/CPU s':>13} {'x SDFA':>17}   first frame")
    print(f"{'':34} {'':8} {'published    ours':>17} {'':13} {'published    ours':>17}")
    for row in rows:
        print(
            f"{row['system']:34} {row['frames_per_second']:8.1f} {row['times_published_sdfa']:9.2f} "
            f"{row['times_sdfa']:7.2f} {row['frames_per_cpu_second']:13.1f} "
            f"{row['times_published_sdfa_cpu']:9.2f} {row['times_sdfa_cpu']:7.2f} "
            f"{row['first_frame_seconds']:10.3f} s"
        )


if __name__ == "__main__":
    main()
