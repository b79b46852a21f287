"""Seconds to score one clip with SyncNet: the public evaluation's procedure against ours, on one machine in one run.

    python experiments/benchmarks/syncnet_scoring.py --output runs/benchmarks/syncnet_scoring.json

The public procedure, as written here: every window of five frames goes through the 3-d lip tower and every window of
MFCC through the speech tower, in batches of 20, float32. Both get the same 224 x 224 frames and random weights.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import python_speech_features
import torch
from torch import Tensor
from torch.nn import functional

from s2v.metrics.sync_confidence import SyncScores, sync_scores
from s2v.models.syncnet import SyncNet

BATCH, VSHIFT = 20, 15


@torch.no_grad()
def public_scores(network: SyncNet, frames: Tensor, speech: Tensor) -> SyncScores:
    """Frames (T, 3, 224, 224) RGB uint8, speech (N,) int16, window by window."""
    pictures = frames.float().flip(1)
    mfcc = torch.from_numpy(python_speech_features.mfcc(speech.numpy(), 16_000).T.copy()).float()
    last = min(len(frames), len(speech) // 640) - 5
    lips, heard = [], []
    for start in range(0, last, BATCH):
        batch = range(start, min(start + BATCH, last))
        lips.append(network.embed_lips(torch.stack([pictures[v : v + 5].transpose(0, 1) for v in batch])))
        heard.append(network.embed_speech(torch.stack([mfcc[None, :, 4 * v : 4 * v + 20] for v in batch])))
    seen, padded = torch.cat(lips), functional.pad(torch.cat(heard), (0, 0, VSHIFT, VSHIFT))
    rows = [
        functional.pairwise_distance(seen[[v]].expand(2 * VSHIFT + 1, -1), padded[v : v + 2 * VSHIFT + 1])
        for v in range(last)
    ]
    curve = torch.stack(rows, 1).mean(1)
    smallest, index = curve.min(0)
    return SyncScores(VSHIFT - int(index), float(smallest), float(curve.median() - smallest))


def timed(score: Callable[[], SyncScores], repeats: int) -> tuple[float, SyncScores]:
    """Shortest of `repeats` runs in seconds, and the scores."""
    seconds, scores = [], score()
    for _ in range(repeats):
        begun = time.perf_counter()
        scores = score()
        seconds.append(time.perf_counter() - begun)
    return min(seconds), scores


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="length of the clip (default 3)")
    parser.add_argument("--repeats", type=int, default=2, help="the shortest counts (default 2)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks/syncnet_scoring.json"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    network, count = SyncNet().eval(), round(args.seconds * 25)
    frames = torch.randint(0, 256, (count, 3, 224, 224), dtype=torch.uint8)
    speech = (torch.randn(count * 640) * 3000).to(torch.int16)
    public, expected = timed(lambda: public_scores(network, frames, speech), args.repeats)
    ours, found = timed(lambda: sync_scores(network, frames, speech), args.repeats)
    result = {
        "public_seconds": public,
        "ours_seconds": ours,
        "ratio": public / ours,
        "public_scores": expected._asdict(),
        "our_scores": found._asdict(),
        "clip_seconds": args.seconds,
        "threads": args.threads,
        "torch": torch.__version__,
    }
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(result, indent=1) + "\n")
    print(f"public {public:.2f} s, ours {ours:.2f} s: {public / ours:.1f} times faster; {args.output}")
    print(f"scores: public {tuple(expected)}, ours {tuple(found)}")


if __name__ == "__main__":
    main()
