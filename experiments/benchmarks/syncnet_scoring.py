"""Seconds to score one clip with SyncNet: the public evaluation's procedure against ours, on one machine in one run.

    python experiments/benchmarks/syncnet_scoring.py --output runs/benchmarks/syncnet_scoring.json

From one mp4 file to the scores, and from the decoded clip to the scores, with one network with random weights. Ours
reads the file as `s2v score` does. The public procedure is as written here after joonson/syncnet_python's
`SyncNetInstance.evaluate(opt, videofile)`: two runs of the program ffmpeg make a JPEG a frame and a WAV file, which are
read back; frames stacked along the last axis and turned into one float tensor through float64, MFCC by
python_speech_features, every window of five frames through the 3-d lip tower and every window of MFCC through the
speech tower in batches of 20, float32, gradients recorded as it does not switch them off; then one row of distances a
window. Without an ffmpeg program only the second comparison is made.

JPEG changes the public side's frames, so it is the scores from the decoded clip that should be the same. Wall-clock
seconds mean little where other programs run; the CPU seconds, ffmpeg's among them, stand beside them.
"""

import argparse
import math
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import python_speech_features
import torch
from result_file import write_result
from scipy.io import wavfile
from torch import Tensor
from torch.nn import functional

from s2v.batch import SAMPLE_RATE
from s2v.evaluation.video_pairs import read_video
from s2v.generation.mp4_writer import write_mp4
from s2v.metrics.sync_confidence import SyncScores, sync_scores
from s2v.models.syncnet import SyncNet

BATCH, VSHIFT = 20, 15


def write_clip(path: Path, count: int) -> None:
    """An mp4 of `count` frames of 224 x 224 with something that moves, and as much noise for speech."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (28, 28, 3), dtype=np.uint8)
    picture = cv2.resize(coarse, (224, 224), interpolation=cv2.INTER_CUBIC)
    frames = np.stack([np.roll(picture, 2 * index, 1) for index in range(count)])
    speech = (random.standard_normal(count * 640) * 0.1).astype(np.float32)
    write_mp4(path, [torch.from_numpy(frames).permute(0, 3, 1, 2)], [torch.from_numpy(speech)])


def public_scores_of_file(network: SyncNet, path: Path) -> SyncScores:
    with tempfile.TemporaryDirectory() as folder:
        pictures, sound = f"{folder}/%06d.jpg", f"{folder}/audio.wav"
        once = ["ffmpeg", "-loglevel", "error", "-y", "-i", str(path)]
        subprocess.run([*once, "-threads", "1", "-f", "image2", pictures], check=True)
        plain = ["-async", "1", "-ac", "1", "-vn", "-acodec", "pcm_s16le", "-ar", "16000"]
        subprocess.run([*once, *plain, sound], check=True)
        frames = [cv2.imread(str(name)) for name in sorted(Path(folder).glob("*.jpg"))]
        rate, speech = wavfile.read(sound)
    return public_scores(network, [frame for frame in frames if frame is not None], rate, speech)


def public_scores(network: SyncNet, frames: list[np.ndarray], rate: int, speech: np.ndarray) -> SyncScores:
    """Of frames (H, W, 3) BGR uint8 and speech (N,) int16."""
    pictures = np.stack(frames, axis=3)[None].transpose(0, 3, 4, 1, 2)
    lips_in = torch.from_numpy(pictures.astype(float)).float()
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


def our_scores_of_file(network: SyncNet, path: Path) -> SyncScores:
    frames, speech = read_video(path)
    assert isinstance(speech, Tensor), speech
    return sync_scores(network, frames, speech)


@dataclass
class Cost:
    """Seconds of one way, the shortest of its runs, and its scores."""

    wall: float = math.inf
    cpu: float = math.inf
    """Of all threads, and of programs that were run."""
    scores: SyncScores | None = None

    def take(self, score: Callable[[], SyncScores]) -> None:
        """Run it once more."""
        wall, cpu = time.perf_counter(), cpu_seconds()
        self.scores = score()
        self.wall = min(self.wall, time.perf_counter() - wall)
        self.cpu = min(self.cpu, cpu_seconds() - cpu)


def cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def costs(network: SyncNet, path: Path, repeats: int) -> dict[str, dict[str, Cost]]:
    """What is compared -> public and ours."""
    frames, speech = read_video(path)
    assert isinstance(speech, Tensor), speech
    as_public = [np.ascontiguousarray(frame.permute(1, 2, 0).numpy()[:, :, ::-1]) for frame in frames]
    ways: dict[str, dict[str, Callable[[], SyncScores]]] = {
        "from the file": {
            "public": lambda: public_scores_of_file(network, path),
            "ours": lambda: our_scores_of_file(network, path),
        },
        "from the decoded clip": {
            "public": lambda: public_scores(network, as_public, SAMPLE_RATE, speech.numpy()),
            "ours": lambda: sync_scores(network, frames, speech),
        },
    }
    if shutil.which("ffmpeg") is None:
        print(
            "no ffmpeg program here, which the public evaluation reads a file with: not measured from the file"
        )
        del ways["from the file"]
    found = {what: {side: Cost() for side in both} for what, both in ways.items()}
    for repeat in range(1 + repeats):
        for what, both in ways.items():
            for side, score in both.items():
                with torch.set_grad_enabled(side == "public"):
                    # the first time a network allocates memory and prepares filters
                    (found[what][side] if repeat else Cost()).take(score)
    return found


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
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_clip(path, round(args.seconds * 25))
        found = costs(network, path, args.repeats)
    about = {"clip_seconds": args.seconds, "threads": args.threads}
    plain = {what: {side: asdict(cost) for side, cost in both.items()} for what, both in found.items()}
    write_result(args.output, plain | about)
    for what, both in found.items():
        public, ours = both["public"], both["ours"]
        print(
            f"{what}: wall-clock {public.wall:.2f} and {ours.wall:.2f} s, {public.wall / ours.wall:.2f} times faster; "
            f"CPU {public.cpu:.2f} and {ours.cpu:.2f} s, {public.cpu / ours.cpu:.2f} times"
        )
        print(f"  scores: public {public.scores}, ours {ours.scores}")
    print(args.output)


if __name__ == "__main__":
    main()
