"""Clips a second that `prepare` decodes with one worker and with two.

    python experiments/benchmarks/prepare_workers.py --output runs/benchmarks/prepare_workers.json

A synthetic corpus in VoxCeleb2's layout, 224 x 224, is prepared anew by one worker and by two in turns. Two workers can
be twice as fast only where two processors are free: seconds of processor time are printed too, which should not differ.
"""

import argparse
import json
import os
import resource
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median

from data_modules.preparation import prepare
from data_modules.synthetic.corpus import write_corpus


def timed(root: Path, cache: Path, workers: int) -> tuple[float, float]:
    """Seconds by the clock and of processor time, the workers' included."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    summary = prepare(root, "voxceleb2", cache, workers=workers, progress=False)
    taken, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    if summary.skipped or summary.refused:
        raise RuntimeError(f"{summary.ok} of {summary.found} clips were made")
    shutil.rmtree(cache)
    return taken, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=300, help="copies of ten clips (default 300)")
    parser.add_argument("--rounds", type=int, default=3, help="default 3")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks/prepare_workers.json"))
    args = parser.parse_args()
    rounds = []
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "corpus"
        write_corpus(Path(name) / "ten", "voxceleb2", 2, 5, size=224, workers=os.cpu_count() or 1)
        videos = sorted((Path(name) / "ten").rglob("*.mp4"))
        for number in range(args.clips):
            copy = root / "mp4" / f"id{number // 10:05}" / "abc" / f"{number % 10:05}.mp4"
            copy.parent.mkdir(parents=True, exist_ok=True)
            os.link(videos[number % len(videos)], copy)
        for _ in range(args.rounds):
            rounds.append({workers: timed(root, Path(name) / "cache", workers) for workers in (1, 2)})
    result = {
        "clips": args.clips,
        "seconds": {w: median(r[w][0] for r in rounds) for w in (1, 2)},
        "cpu_seconds": {w: median(r[w][1] for r in rounds) for w in (1, 2)},
        "times_faster": median(r[1][0] / r[2][0] for r in rounds),
        "most_times_faster": max(r[1][0] / r[2][0] for r in rounds),
    }
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(result, indent=1) + "\n")
    for workers in (1, 2):
        rate = args.clips / result["seconds"][workers]
        print(f"{workers} workers: {rate:.1f} clips/s, {result['cpu_seconds'][workers]:.1f} s of CPU")
    print(f"{result['times_faster']:.2f} times (at most {result['most_times_faster']:.2f})")


if __name__ == "__main__":
    main()
