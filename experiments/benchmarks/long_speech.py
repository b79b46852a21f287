"""Peak memory and speed of `s2v export` for short and long recordings, and whether a stream has seams.

    python experiments/benchmarks/long_speech.py --minutes 10 60 --output runs/benchmarks/long_speech.json

Exports 10 s and then each of the longer recordings, each in a process of its own, whose peak memory Linux tells;
frames a second count from the second the model is loaded (what 10 s take is subtracted). Then two minutes of speech at
once, all contexts in one pass and all frames by the trained modules, against the same two minutes as a stream: the
largest difference of any pixel on [-1, 1]. Networks are untrained, narrow (width 0.4) and 64 x 64 pixels, or with
`--paper` of the paper's size and 128 x 128.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from result_file import write_result
from speech_networks import NARROW, PAPER, WINDOW_FRAMES, Sizes, networks, write_checkpoint, write_speech

from s2v.generation.speech_file import SpeechFile
from s2v.generation.streaming import StreamingGenerator
from s2v.speech.portrait import hear_portrait

SMALL = replace(NARROW, image_size=64)


EXPORT = """
import sys
from pathlib import Path
from s2v.cli import main
status = main(sys.argv[2:])
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
Path(sys.argv[1]).write_text(peak.split()[1])
sys.exit(status)
"""
"""An export that notes its peak: what the system tells of an ended process counts what this one held at its start."""


def export(checkpoint: Path, speech: Path) -> tuple[float, float]:
    """Seconds and peak memory in MB of one export."""
    note = speech.with_suffix(".peak")
    command = [sys.executable, "-c", EXPORT, str(note), "export", "--checkpoint", str(checkpoint)]
    command += ["--device", "cpu", "--speech", str(speech), "--output", str(speech.with_suffix(".mp4"))]
    begun = time.perf_counter()
    status = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
    if status:
        raise RuntimeError(f"export ended with status {status}")
    return time.perf_counter() - begun, int(note.read_text()) / 1024


@torch.no_grad()
def largest_seam(sizes: Sizes, speech: Path) -> float:
    """Of all pixels on [-1, 1], stream against one pass."""
    representation, generator = networks(sizes)
    for parameter in generator.frame_decoder.to_rgb.parameters():
        parameter.mul_(10)  # an untrained generator paints nearly grey
    samples = torch.cat(list(SpeechFile(speech)))
    portrait = hear_portrait(representation, [samples], WINDOW_FRAMES * 640, 25)
    times = [(number + 0.5) / 25 for number in range(round(len(samples) / 640))]
    # single precision would blur the times of the reference itself
    positions = torch.tensor([times], dtype=torch.float64)
    contexts = representation.at_times(representation.contexts(samples[None]), positions)
    parts, mu = generator.identity_parts(portrait.nu), portrait.emotion_at(times)
    stream = StreamingGenerator(representation, generator, WINDOW_FRAMES)
    largest, shown = 0.0, 0
    for portion in stream.decoded(SpeechFile(speech)):
        chunk = slice(shown, shown + len(portion))
        expected = generator.decode(contexts[:, chunk], parts, mu[:, chunk])[0]
        largest = max(largest, float((portion - expected).abs().max()))
        shown += len(portion)
    if shown != len(times):
        raise RuntimeError(f"{shown} frames instead of {len(times)}")
    return largest


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--minutes", type=float, nargs="+", default=[10], help="of the longer recordings (default 10)"
    )
    parser.add_argument("--paper", action="store_true", help="the paper's size, 128 x 128 pixels")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks/long_speech.json"))
    args = parser.parse_args()
    torch.manual_seed(0)
    sizes = PAPER if args.paper else SMALL
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = write_checkpoint(Path(folder) / "composer.ckpt", sizes)
        for seconds in (10, *(round(60 * minutes) for minutes in args.minutes)):
            taken, peak = export(checkpoint, write_speech(Path(folder) / f"{seconds}.wav", seconds))
            rows.append({"speech_seconds": seconds, "seconds": taken, "peak_mb": peak})
        seam = largest_seam(sizes, write_speech(Path(folder) / "seam.wav", 120))
    first = rows[0]
    print("speech     peak MB  above 10 s's  frames/s")
    for row in rows:
        row["above_mb"] = row["peak_mb"] - first["peak_mb"]
        more = 25 * (row["speech_seconds"] - first["speech_seconds"])
        row["frames_per_second"] = more / (row["seconds"] - first["seconds"]) if more else None
        rate = "-" if row["frames_per_second"] is None else f"{row['frames_per_second']:.0f}"
        print(
            f"{row['speech_seconds']:6} s {row['peak_mb']:9.0f} {row['above_mb']:13.0f} {rate:>9}", flush=True
        )
    print(f"stream against one pass, 2 minutes: {seam:.1e} at most")
    write_result(args.output, {"exports": rows, "largest_seam": seam})


if __name__ == "__main__":
    main()
