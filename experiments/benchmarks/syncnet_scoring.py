"""Seconds to score one clip with SyncNet: the public evaluation's procedure against ours, on one machine in one run.

    python experiments/benchmarks/syncnet_scoring.py --output runs/benchmarks/syncnet_scoring.json

Both start from a folder of JPEG frames and a WAV file, which the public evaluation makes with two runs of ffmpeg that
are not counted, and use one network with random weights. The public procedure, as written here after
joonson/syncnet_python's `SyncNetInstance.evaluate`: frames stacked along the last axis and turned into one float tensor
through float64, MFCC by python_speech_features, every window of five frames through the 3-d lip tower and every
window of MFCC through the speech tower in batches of 20, float32, gradients recorded as it does not switch them off;
then one row of distances a window.

Wall-clock seconds mean little where other programs run, so the CPU seconds of the process stand beside them.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import python_speech_features
import torch
from scipy.io import wavfile
from torch import Tensor
from torch.nn import functional

from s2v.metrics.sync_confidence import SyncScores, sync_scores
from s2v.models.syncnet import SyncNet

BATCH, VSHIFT = 20, 15


def write_clip(folder: Path, count: int) -> None:
    """`count` JPEG frames of 224 x 224 with something that moves, and as much noise for speech."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (28, 28, 3), dtype=np.uint8)
    picture = cv2.resize(coarse, (224, 224), interpolation=cv2.INTER_CUBIC)
    for index in range(count):
        cv2.imwrite(str(folder / f"{index + 1:06d}.jpg"), np.roll(picture, 2 * index, 1))
    wavfile.write(folder / "audio.wav", 16_000, (random.standard_normal(count * 640) * 3000).astype(np.int16))


def read_frames(folder: Path) -> list[np.ndarray]:
    """(224, 224, 3) BGR uint8 each."""
    frames = [cv2.imread(str(path)) for path in sorted(folder.glob("*.jpg"))]
    return [frame for frame in frames if frame is not None]


def public_scores(network: SyncNet, folder: Path) -> SyncScores:
    frames = read_frames(folder)
    pictures = np.stack(frames, axis=3)[None].transpose(0, 3, 4, 1, 2)
    lips_in = torch.from_numpy(pictures.astype(float)).float()
    rate, speech = wavfile.read(folder / "audio.wav")
    mfcc = python_speech_features.mfcc(speech, rate).T.copy()
    speech_in = torch.from_numpy(mfcc[None, None]).float()
    last = min(len(frames), len(speech) // 640) - 5
    lips, heard = [], []
    for start in range(0, last, BATCH):
        batch = range(start, min(start + BATCH, last))
        lips.append(network.embed_lips(torch.cat([lips_in[:, :, v : v + 5] for v in batch])).detach())
        windows = torch.cat([speech_in[..., 4 * v : 4 * v + 20] for v in batch])
        heard.append(network.embed_speech(windows).detach())
    seen, padded = torch.cat(lips), functional.pad(torch.cat(heard), (0, 0, VSHIFT, VSHIFT))
    rows = [
        functional.pairwise_distance(seen[[v]].repeat(2 * VSHIFT + 1, 1), padded[v : v + 2 * VSHIFT + 1])
        for v in range(last)
    ]
    curve = torch.stack(rows, 1).mean(1)
    smallest, index = curve.min(0)
    return SyncScores(VSHIFT - int(index), float(smallest), float(curve.median() - smallest))


def our_scores(network: SyncNet, folder: Path) -> SyncScores:
    frames = np.stack([frame[:, :, ::-1] for frame in read_frames(folder)])
    pictures: Tensor = torch.from_numpy(frames).permute(0, 3, 1, 2)
    return sync_scores(network, pictures, torch.from_numpy(wavfile.read(folder / "audio.wav")[1]))


def timed(score: Callable[[], SyncScores]) -> tuple[float, float, SyncScores]:
    """Wall-clock seconds, CPU seconds of all threads, and the scores."""
    wall, cpu = time.perf_counter(), time.process_time()
    scores = score()
    return time.perf_counter() - wall, time.process_time() - cpu, scores


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="length of the clip (default 3)")
    parser.add_argument("--repeats", type=int, default=3, help="in turns; the shortest counts (default 3)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks/syncnet_scoring.json"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    network = SyncNet().eval()
    with torch.no_grad(), tempfile.TemporaryDirectory() as name:
        write_clip(Path(name), round(args.seconds * 25))
        ways = {"public": public_scores, "ours": our_scores}
        runs: dict[str, list[tuple[float, float, SyncScores]]] = {"public": [], "ours": []}
        for _ in range(1 + args.repeats):
            for way, score in ways.items():
                with torch.set_grad_enabled(way == "public"):
                    runs[way].append(timed(lambda score=score: score(network, Path(name))))  # type: ignore[misc]
    wall, cpu = ({way: min(run[k] for run in found[1:]) for way, found in runs.items()} for k in (0, 1))
    scores = {way: found[0][2] for way, found in runs.items()}
    result = {
        "public_seconds": wall["public"],
        "ours_seconds": wall["ours"],
        "ratio": wall["public"] / wall["ours"],
        "public_cpu_seconds": cpu["public"],
        "ours_cpu_seconds": cpu["ours"],
        "cpu_ratio": cpu["public"] / cpu["ours"],
        "public_scores": scores["public"]._asdict(),
        "our_scores": scores["ours"]._asdict(),
        "clip_seconds": args.seconds,
        "threads": args.threads,
        "torch": torch.__version__,
    }
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(result, indent=1) + "\n")
    for what, seconds in (("wall-clock", wall), ("CPU", cpu)):
        public, ours = seconds["public"], seconds["ours"]
        print(f"{what}: public {public:.2f} s, ours {ours:.2f} s: {public / ours:.1f} times faster")
    print(f"scores: public {tuple(scores['public'])}, ours {tuple(scores['ours'])}; {args.output}")


if __name__ == "__main__":
    main()
