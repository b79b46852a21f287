"""What 100 to 10,000 clips cost: finding, preparing, checking again, splitting, starting.

    python experiments/benchmarks/growth.py --output runs/benchmarks/growth.json

Corpora of VoxCeleb2's layout are made of one tiny synthetic clip, copied (ten clips a speaker), so that only the
number of clips grows. `prepare` runs on them for good; `--largest` bounds the corpus that is decoded, and above that,
up to 10,000 clips, the cache is filled by copying a prepared clip. Seconds are of processor time, the workers'
included, since other work may share the machine; milliseconds a clip should be the same from corpus to corpus.
"""

import argparse
import os
import resource
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from result_file import write_result

from data_modules.clip_manifest import MANIFEST_NAME, read_manifest, write_manifest
from data_modules.layouts import find_clips
from data_modules.preparation import prepare
from data_modules.preparation_records import RECORDS_FOLDER, append_record, record_of
from data_modules.preparation_settings import PreparationSettings
from data_modules.splits import make_split
from data_modules.synthetic.corpus import write_corpus
from data_modules.voxceleb2 import VoxCeleb2

COUNTS = (100, 1_000, 10_000)
SIZE = 32
STEPS = ("prepare", "find", "prepare again", "read manifest", "split", "start", "epoch")


def processor_time() -> float:
    """Seconds of this process and of the children that have ended."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def seconds(work: Callable[[], object]) -> float:
    """Of processor time."""
    begun = processor_time()
    work()
    return processor_time() - begun


def copy_corpus(clip: Path, root: Path, count: int) -> None:
    """`count` copies of a video in VoxCeleb2's layout; where the file system can, they share their bytes."""
    for number in range(count):
        copy = root / "mp4" / f"id{number // 10:05}" / "abc" / f"{number % 10:05}.mp4"
        copy.parent.mkdir(parents=True, exist_ok=True)
        os.link(clip, copy)


def fill_cache(root: Path, cache: Path, prepared: Path) -> None:
    """What `prepare` would leave of the corpus at `root`, from one prepared clip."""
    row = next(row for row in read_manifest(prepared / MANIFEST_NAME) if row.ok)
    settings, rows = PreparationSettings(size=SIZE).key(), []
    for clip in find_clips(root, "voxceleb2"):
        file = f"clips/{clip.clip_id}.safetensors"
        (cache / file).parent.mkdir(parents=True, exist_ok=True)
        os.link(prepared / row.cache_file, cache / file)
        rows.append(
            replace(row, clip_id=clip.clip_id, source=clip.video, cache_file=file, speaker=clip.speaker)
        )
        record = record_of(rows[-1].__dict__, clip, root, cache, settings)
        append_record(cache / RECORDS_FOLDER / "copied.jsonl", record)
    write_manifest(cache / MANIFEST_NAME, rows)


def start(cache: Path) -> VoxCeleb2:
    """What a fit does before its first batch is asked for."""
    data = VoxCeleb2(
        str(cache),
        split="seen",
        image_size=SIZE,
        window_frames=25,
        num_frames=4,
        batch_size=16,
        num_workers=0,
        pin_memory=False,
    )
    data.setup("fit")
    data.train_dataloader()
    return data


def measure(clip: Path, folder: Path, count: int, decode: bool) -> dict[str, float]:
    """Seconds of every step."""
    root, cache = folder / f"corpus-{count}", folder / f"cache-{count}"
    copy_corpus(clip, root, count)
    taken = {}

    def prepare_it() -> None:
        summary = prepare(root, "voxceleb2", cache, size=SIZE, workers=2, progress=False)
        if summary.ok != count:
            raise RuntimeError(f"{summary.ok} of {count} clips are usable: {summary.reasons}")

    if decode:
        taken["prepare"] = seconds(prepare_it)
    else:
        fill_cache(root, cache, folder / f"cache-{COUNTS[0]}")
    taken["find"] = seconds(lambda: find_clips(root, "voxceleb2"))
    taken["prepare again"] = seconds(prepare_it)
    taken["read manifest"] = seconds(lambda: read_manifest(cache / MANIFEST_NAME))
    rows = read_manifest(cache / MANIFEST_NAME)
    taken["split"] = seconds(lambda: make_split(rows, "seen"))
    taken["start"] = seconds(lambda: start(cache))
    batches = start(cache).train_dataloader()
    taken["epoch"] = seconds(lambda: next(iter(batches)))
    shutil.rmtree(root)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--largest", type=int, default=1_000, help="corpus that is decoded (default 1000)")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks/growth.json"))
    args = parser.parse_args()
    result = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_corpus(folder / "one", "voxceleb2", 1, 1, size=SIZE, workers=1)
        clip = next((folder / "one").rglob("*.mp4"))
        for count in COUNTS:
            result[count] = measure(clip, folder, count, decode=count <= max(args.largest, COUNTS[0]))
    write_result(args.output, result)
    print(f"{'':14}" + "".join(f"{count:>10,} clips  ms a clip" for count in COUNTS))
    for step in STEPS:
        cells = [
            f"{taken[step]:14.3f} s {1000 * taken[step] / count:10.3f}" if step in taken else f"{'-':>27}"
            for count, taken in result.items()
        ]
        print(f"{step:14}" + "".join(cells))


if __name__ == "__main__":
    main()
