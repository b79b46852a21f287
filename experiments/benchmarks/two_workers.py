"""How much faster two workers are than one: the commands `s2v prepare`, `s2v cache-targets` and `s2v score`, in turns.

    python experiments/benchmarks/two_workers.py --output runs/benchmarks/two_workers.json

Drawn clips, copies of ten: prepared from 224 x 224 to 128 x 128 pixels; seen by VGG-16 and SENet-50 of the papers'
size; scored by SyncNet of its published size. Random weights. Two workers can be twice as fast only where two
processors are free: seconds of processor time are printed too, which should not differ by much. All seconds contain the
processes' start, of which more clips make less.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from result_file import write_result

from data_modules.preparation import prepare
from data_modules.synthetic.corpus import write_corpus
from s2v.models.senet import SENet50
from s2v.models.syncnet import SyncNet
from s2v.models.vggface import VGGFace

CLIPS = {"prepare": 600, "cache-targets": 40, "score": 60}
WORKERS = (1, 2)


def copies(ten: list[Path], count: int, root: Path) -> Path:
    """A corpus in VoxCeleb2's layout with hard links to these videos."""
    for number in range(count):
        copy = root / "mp4" / f"id{number // 10:05}" / "abc" / f"{number % 10:05}.mp4"
        copy.parent.mkdir(parents=True, exist_ok=True)
        os.link(ten[number % len(ten)], copy)
    return root


def prepare_command(folder: Path, ten: list[Path], clips: int) -> list[str]:
    root = copies(ten, clips, folder / "corpus")
    made = str(folder / "made")
    return ["prepare", "--root", str(root), "--layout", "voxceleb2", "--cache", made, "--no-progress"]


def targets_command(folder: Path, ten: list[Path], clips: int) -> list[str]:
    root, cache = copies(ten, clips, folder / "corpus"), folder / "cache"
    prepare(root, "voxceleb2", cache, workers=os.cpu_count() or 1, progress=False)
    torch.save(VGGFace(num_classes=2622).state_dict(), folder / "vggface.pth")
    torch.save(SENet50(num_classes=8).state_dict(), folder / "senet.pth")
    return [
        *("cache-targets", "--cache", str(cache), "--output", str(folder / "made")),
        *("--identity-teacher", f"vggface:{folder / 'vggface.pth'}"),
        *("--emotion-teacher", f"senet:{folder / 'senet.pth'}"),
    ]


def score_command(folder: Path, ten: list[Path], clips: int) -> list[str]:
    # each clip against itself: what it costs does not depend on how alike the pictures are
    real, generated = copies(ten, clips, folder / "real"), copies(ten, clips, folder / "generated")
    torch.save(SyncNet().state_dict(), folder / "syncnet.model")
    return [
        *("score", "--real", str(real), "--generated", str(generated), "--output", str(folder / "made")),
        *("--syncnet", str(folder / "syncnet.model"), "--bootstrap", "100"),
    ]


COMMANDS: dict[str, Callable[[Path, list[Path], int], list[str]]] = {
    "prepare": prepare_command,
    "cache-targets": targets_command,
    "score": score_command,
}


def timed(command: list[str], made: Path) -> tuple[float, float]:
    """Seconds by the clock and of processor time, the workers' included; what was made is removed."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-m", "s2v", *command], check=True, stdout=subprocess.DEVNULL, env=environment
    )
    taken, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    shutil.rmtree(made)
    return taken, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measured(name: str, ten: list[Path], clips: int, rounds: int) -> dict[str, object]:
    """Medians of all rounds, and each round's ratio."""
    with tempfile.TemporaryDirectory(dir=ten[0].parent) as folder:
        command = COMMANDS[name](Path(folder), ten, clips)
        times = [
            {
                workers: timed([*command, "--workers", str(workers)], Path(folder) / "made")
                for workers in WORKERS
            }
            for _ in range(rounds)
        ]
    ratios = [round_[1][0] / round_[2][0] for round_ in times]
    seconds = {workers: median(round_[workers][0] for round_ in times) for workers in WORKERS}
    cpu = {workers: median(round_[workers][1] for round_ in times) for workers in WORKERS}
    print(f"{name}, {clips} clips: {median(ratios):.2f} times ({', '.join(f'{r:.2f}' for r in ratios)})")
    for workers in WORKERS:
        rate = clips / seconds[workers]
        print(
            f"  {workers} workers: {seconds[workers]:.1f} s, {rate:.2f} clips/s, {cpu[workers]:.1f} s of CPU"
        )
    return {
        "clips": clips,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "times_faster": median(ratios),
        "each_round": ratios,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--of", nargs="+", choices=list(COMMANDS), default=list(COMMANDS), help="default: all"
    )
    parser.add_argument("--clips", type=int, help="of each (default 600, 40 and 60)")
    parser.add_argument("--rounds", type=int, default=3, help="default 3")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks/two_workers.json"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        write_corpus(Path(name), "voxceleb2", 2, 5, size=224, workers=os.cpu_count() or 1)
        ten = sorted(Path(name).rglob("*.mp4"))
        result = {of: measured(of, ten, args.clips or CLIPS[of], args.rounds) for of in args.of}
    write_result(args.output, result)


if __name__ == "__main__":
    main()
