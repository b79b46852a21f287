"""Seconds from pressing Enter: `s2v --help`, and `s2v export` of 3 s of speech, imports and all.

    python experiments/benchmarks/start_up.py --output runs/benchmarks/start_up.json

Whole processes in turns: seconds by the clock and of processor time (of all threads, and of the kernel for them),
which say more where other work shares the machine. `export` runs with an untrained checkpoint of the paper's size and
with a narrow one (width 0.4), at 128 x 128.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from result_file import write_result
from speech_networks import NARROW, PAPER, write_checkpoint, write_speech

LIMITS = {"s2v --help": 1.0, "export, paper size": 8.0, "export, narrow": 8.0}


def timed(command: list[str]) -> tuple[float, float]:
    """Seconds by the clock and of processor time of a process that must succeed."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    taken, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return taken, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="of speech (default 3)")
    parser.add_argument("--rounds", type=int, default=5, help="default 5, after one that is not counted")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks/start_up.json"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        speech = write_speech(Path(folder) / "speech.wav", args.seconds)
        commands = {"s2v --help": [sys.executable, "-m", "s2v", "--help"]}
        for name, sizes in (("paper size", PAPER), ("narrow", NARROW)):
            checkpoint = write_checkpoint(Path(folder) / f"{sizes.width}.ckpt", sizes)
            video = Path(folder) / f"{sizes.width}.mp4"
            commands[f"export, {name}"] = [
                *(sys.executable, "-m", "s2v", "export", "--checkpoint", str(checkpoint), "--speech", str(speech)),
                *("--output", str(video), "--overwrite", "--device", "cpu"),
            ]  # fmt: skip
        rounds = [{name: timed(c) for name, c in commands.items()} for _ in range(args.rounds + 1)][1:]
    rows = [
        {
            "command": name,
            "seconds": median(r[name][0] for r in rounds),
            "least_seconds": min(r[name][0] for r in rounds),
            "cpu_seconds": median(r[name][1] for r in rounds),
            "asked": LIMITS[name],
        }
        for name in commands
    ]
    write_result(args.output, {"rounds": args.rounds, "commands": rows})
    print(f"{'':22} seconds  least  of CPU  asked")
    for row in rows:
        print(
            f"{row['command']:22} {row['seconds']:7.2f} {row['least_seconds']:6.2f} {row['cpu_seconds']:7.2f} "
            f"{row['asked']:6.1f}"
        )


if __name__ == "__main__":
    main()
