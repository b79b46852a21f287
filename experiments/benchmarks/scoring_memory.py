"""Memory of a test over many clips: real protocol, a SyncNet and a face judge with random weights, short small clips.

    python experiments/benchmarks/scoring_memory.py --clips 1000 --output runs/benchmarks/scoring_memory.json

Prints the process' peak of resident memory every hundred clips and how much a clip adds to it after the first hundred,
beside it what is resident between clips, and what the C library has handed out and not got back (glibc, Linux). In the
end the report is written, and the peak printed once more.
"""

import argparse
import ctypes
import os
import resource
import tempfile
from pathlib import Path

import torch
from result_file import write_result
from torch import nn

from s2v.evaluation.clip_rows import TestClip
from s2v.evaluation.held_pictures import HeldPictures
from s2v.evaluation.judges import FaceJudge, SyncJudge
from s2v.evaluation.protocol import Protocol
from s2v.evaluation.scoring import Scoring
from s2v.models.syncnet import SyncNet

FRAMES, SIDE, SPEAKERS = 12, 64, 20


class _Colours(nn.Module):
    def forward(self, faces: torch.Tensor) -> dict[str, torch.Tensor]:
        means = faces.float().mean(dim=(2, 3))
        return {"embedding": means, "logits": means}


def clip_of(number: int) -> TestClip:
    random = torch.Generator().manual_seed(number)
    real = torch.randint(0, 256, (FRAMES, 3, SIDE, SIDE), dtype=torch.uint8, generator=random)
    speech = (torch.randn(FRAMES * 640, generator=random) * 3000).to(torch.int16)
    return TestClip(str(number), f"s{number % SPEAKERS}", "anger", real, real.flip(0), speech)


class _Mallinfo(ctypes.Structure):
    """glibc's `struct mallinfo2`; `uordblks` and `hblkhd` are the bytes in use, on the heap and mapped."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def bytes_in_use() -> int:
    """What malloc has handed out and not got back, in bytes."""
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = _Mallinfo
    found = mallinfo()
    return int(found.uordblks + found.hblkhd)


def bytes_resident() -> int:
    """What the process has in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak_resident() -> int:
    """The most that it had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def memory_after(clips: int, every: int) -> tuple[dict[str, dict[int, int]], int]:
    """Clips scored so far -> bytes at their peak, resident between clips and in use; and the peak after the report."""
    torch.manual_seed(0)
    face = FaceJudge(_Colours(), ["anger", "fear", "sadness"], "none", "0" * 64, "made for this")
    sync = SyncJudge(
        SyncNet(image_size=64, width=1 / 16).eval().requires_grad_(False), "none", "0" * 64, "random"
    )
    protocol = Protocol(identity=face, emotion=face, sync=sync)
    held, scoring = HeldPictures(), Scoring(protocol, bootstrap=100)
    for number in range(clips):
        clip = clip_of(number)
        held.add(clip.clip_id, clip.speaker, clip.real)
    protocol.hold(held)
    found: dict[str, dict[int, int]] = {"peak_resident": {}, "resident": {}, "in_use": {}}
    for number in range(clips):
        scoring.add(clip_of(number))
        if (number + 1) % every == 0:
            now = {"peak_resident": peak_resident(), "resident": bytes_resident(), "in_use": bytes_in_use()}
            for what, size in now.items():
                found[what][number + 1] = size
            megabytes = ", ".join(f"{what} {size / 2**20:.1f} MiB" for what, size in now.items())
            print(f"{number + 1:6d} clips: {megabytes}", flush=True)
    report = scoring.report({}, None)
    assert report is not None
    with tempfile.TemporaryDirectory() as folder:
        report.write(Path(folder))
    return found, peak_resident()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks/scoring_memory.json"))
    args = parser.parse_args()
    found, after_report = memory_after(args.clips, args.every)
    first, last = min(found["in_use"]), max(found["in_use"])
    growth = {what: (of[last] - of[first]) / max(last - first, 1) for what, of in found.items()}
    result = {
        "bytes": found,
        "bytes_a_clip": growth,
        "peak_resident_after_report": after_report,
        "threads": torch.get_num_threads(),
        "clip_frame_bytes": FRAMES * 3 * SIDE * SIDE,
    }
    write_result(args.output, result)
    sizes = ", ".join(f"{what} {size / 1024:.1f} KiB" for what, size in growth.items())
    print(f"a clip adds to {sizes}; its frames are {FRAMES * 3 * SIDE * SIDE / 1024:.0f} KiB")
    print(f"peak after the report {after_report / 2**20:.1f} MiB")
    print(args.output)


if __name__ == "__main__":
    main()
