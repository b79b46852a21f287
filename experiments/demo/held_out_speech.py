"""Print a recording for each speaker and emotion of the demo's test split: sentences that no training heard."""

import sys
from pathlib import Path

from data_modules import SyntheticFaces


def main(cache: str, corpus: str) -> None:
    data = SyntheticFaces(cache, split="sentences", image_size=64)
    first: dict[tuple[str, str], str] = {}
    for row in data.clips("test"):
        first.setdefault((row.speaker, row.emotion), row.clip_id)
    for clip_id in first.values():
        print(Path(corpus) / "AudioWAV" / f"{clip_id}.wav")


if __name__ == "__main__":
    main(*sys.argv[1:])
