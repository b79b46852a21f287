"""Windows of 16 frames from the cache against decoding them; loader throughput; raw against JPEG; VoxCeleb2's cost.

    python experiments/benchmarks/data_loading.py --output runs/benchmarks/data_loading.json

Makes a synthetic corpus in VoxCeleb2's layout (or takes `--root`, any corpus in that layout), prepares it as pixels and
as JPEG of two qualities, and measures, in turns, a training window (16 frames, 40 frames of speech, the still face):
from each cache with the files in memory, in processor time of all threads, and, after the system was asked to drop
them, from the disk, by the clock; and decoded from the video, in processor time. Then samples a second of the training
loader with 0 to 4 workers. What a million clips cost is computed from the measured bytes a frame and the measured
processor time a second of video.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from result_file import write_result

from data_modules.clip_cache import read_clip, read_window
from data_modules.clip_manifest import ManifestRow, read_manifest
from data_modules.decode import decode_frames, frames_on_screen, probe_video
from data_modules.face_crop import central_square, resized
from data_modules.preparation import prepare
from data_modules.speech_track import decode_speech
from data_modules.synthetic.corpus import write_corpus
from data_modules.voxceleb2 import VoxCeleb2

FRAMES, WINDOW, SIZE, BATCH = 16, 40, 128, 16
VOXCELEB2_SECONDS = 7.8
"""Of a clip, on average (Chung et al. 2018)."""
CACHES = {"raw": 0, "jpeg, quality 95": 95, "jpeg, quality 80": 80}


def decode_window(source: Path, start: int) -> np.ndarray:
    """What the cache saves: find the frames' times, seek, decode and resize 16 of them; decode the speech."""
    video = probe_video(source)
    shown = frames_on_screen(video.times, float(video.times[0]) + start / 25, 25, FRAMES)
    still = frames_on_screen(video.times, float(video.times[0]), 25, 1)
    frames = [*decode_frames(video, still), *decode_frames(video, shown)]
    box = central_square(frames[0].shape[1], frames[0].shape[0], video.pixel_aspect)
    decode_speech(source)
    return np.stack([resized(frame, box, SIZE) for frame in frames])


def forget(path: Path) -> None:
    """Ask the system to drop a file from memory: the next read comes from the disk."""
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(handle)


def milliseconds(read: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    begun = clock()
    read()
    return 1000 * (clock() - begun)


def children_seconds() -> float:
    """Processor time of the children that have ended: the workers of `prepare`."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def compare_windows(root: Path, caches: dict[str, Path], rounds: int) -> dict[str, float]:
    """Median milliseconds a window by each way; in a round, each way in turn serves a window of every clip."""
    rows = {name: usable(cache) for name, cache in caches.items()}
    draw, times = np.random.default_rng(0), {}
    for _ in range(rounds):
        starts = [int(draw.integers(row.frames - WINDOW + 1)) for row in rows["raw"]]
        for row, start in zip(rows["raw"], starts, strict=True):
            way = partial(decode_window, root / row.source, start)
            times.setdefault("decoded", []).append(milliseconds(way))
        for name, cache in caches.items():
            files = [cache / row.cache_file for row in rows[name]]
            for file in files:
                forget(file)
            ways = [
                partial(read_window, *chosen, WINDOW, 0, FRAMES) for chosen in zip(files, starts, strict=True)
            ]
            cold = [milliseconds(way, time.perf_counter) for way in ways]
            times.setdefault(f"{name}, cold", []).extend(cold)
            times.setdefault(name, []).extend(milliseconds(way) for way in ways)
    return {name: median(taken) for name, taken in times.items()}


def usable(cache: Path) -> list[ManifestRow]:
    """The clips long enough for a window."""
    return [row for row in read_manifest(cache / "manifest.csv") if row.ok and row.frames >= WINDOW]


def loader_samples(cache: Path, workers: int, windows: int) -> float:
    """Samples a second of the training loader, its workers running."""
    clips = len(usable(cache))
    data = VoxCeleb2(
        str(cache),
        split="seen",
        image_size=SIZE,
        window_frames=WINDOW,
        num_frames=FRAMES,
        batch_size=BATCH,
        num_workers=workers,
        windows_per_clip=-(-windows // clips),
        pin_memory=False,
    )
    batches = iter(data.train_dataloader())
    next(batches)
    begun = time.perf_counter()
    served = sum(len(batch["start"]) for batch in batches)
    return served / (time.perf_counter() - begun)


def differences(caches: dict[str, Path]) -> dict[str, float]:
    """PSNR in dB of each JPEG cache's pixels against the raw cache's."""
    squares: dict[str, list[float]] = {name: [] for name in caches if name != "raw"}
    for row in usable(caches["raw"]):
        pixels = read_clip(caches["raw"] / row.cache_file)[0].astype(np.float32)
        for name, found in squares.items():
            found.append(float(np.mean((read_clip(caches[name] / row.cache_file)[0] - pixels) ** 2)))
    return {name: float(10 * np.log10(255**2 / np.mean(found))) for name, found in squares.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, help="a corpus in VoxCeleb2's layout (default: a synthetic one)")
    parser.add_argument("--clips", type=int, default=24, help="of the synthetic corpus (default 24)")
    parser.add_argument("--rounds", type=int, default=5, help="windows of each clip (default 5)")
    parser.add_argument("--windows", type=int, default=1500, help="of a loader's epoch (default 1500)")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks/data_loading.json"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = args.root or Path(folder) / "corpus"
        if args.root is None:
            write_corpus(root, "voxceleb2", 6, args.clips // 6, size=224, workers=os.cpu_count() or 1)
        caches, rows = {}, []
        for name, quality in CACHES.items():
            caches[name] = Path(folder) / name
            begun = children_seconds()
            prepare(
                root, "voxceleb2", caches[name], size=SIZE, workers=1, jpeg_quality=quality, progress=False
            )
            taken = children_seconds() - begun
            seconds = sum(row.duration for row in usable(caches[name]))
            frames = sum(row.frames for row in usable(caches[name]))
            size = sum((caches[name] / row.cache_file).stat().st_size for row in usable(caches[name]))
            rows.append({"cache": name, "bytes_per_frame": size / frames, "prepare_seconds": taken / seconds})
        windows, loss = compare_windows(root, caches, args.rounds), differences(caches)
        loaders: dict[str, dict[int, list[float]]] = {name: {} for name in ("raw", "jpeg, quality 95")}
        for _ in range(2):
            for name, workers in ((n, w) for n in loaders for w in (0, 1, 2, 4)):
                found = loader_samples(caches[name], workers, args.windows)
                loaders[name].setdefault(workers, []).append(found)
    for row in rows:
        name = str(row["cache"])
        row |= {
            "window_ms": windows[name],
            "window_cold_ms": windows[f"{name}, cold"],
            "times_decoding": windows["decoded"] / windows[name],
            "psnr_db": loss.get(name),
            "terabytes_per_million": row["bytes_per_frame"] * 25 * VOXCELEB2_SECONDS / 1e6,
            "core_hours_per_million": row["prepare_seconds"] * VOXCELEB2_SECONDS * 1e6 / 3600,
        }
    result = {
        "decoding_ms": windows["decoded"],
        "caches": rows,
        "samples_per_second": {name: {w: max(v) for w, v in of.items()} for name, of in loaders.items()},
    }
    write_result(args.output, result)
    print(f"a window of {FRAMES} frames, its speech and still: {windows['decoded']:.1f} ms decoded")
    print(f"{'cache':18} {'ms':>6} {'cold':>6} x dec. {'kB/frame':>9} {'PSNR':>6}  1 M clips")
    for row in rows:
        psnr = "-" if row["psnr_db"] is None else f"{row['psnr_db']:.1f}"
        print(
            f"{row['cache']:18} {row['window_ms']:6.2f} {row['window_cold_ms']:6.2f} {row['times_decoding']:6.0f} "
            f"{row['bytes_per_frame'] / 1000:9.1f} {psnr:>6}  {row['terabytes_per_million']:.2f} TB, "
            f"{row['core_hours_per_million']:.0f} core hours"
        )
    for name, of in result["samples_per_second"].items():
        print(f"{name}: samples/s " + ", ".join(f"{rate:.0f} with {w} workers" for w, rate in of.items()))


if __name__ == "__main__":
    main()
