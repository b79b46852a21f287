"""SHA-256 of files, by which reports name checkpoints, judges, weights and clip lists."""

import hashlib
from collections.abc import Iterable
from pathlib import Path


def sha256_of_file(path: str | Path) -> str:
    """Hexadecimal digest of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sha256_of_list(names: Iterable[str]) -> str:
    """Hexadecimal digest of the sorted names, one a line: the same list in any order gives the same hash."""
    return hashlib.sha256("\n".join(sorted(names)).encode("utf-8", "surrogateescape")).hexdigest()
