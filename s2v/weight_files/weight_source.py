"""What weights are called on command lines and in configs: `[KIND:]FILE`, `KIND:FILE@DETECTOR`, `KIND:FILE?OPTIONS`,
`class:package.module.Class[:FILE]`."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from s2v.files.file_hash import sha256_of_file


def file_of_source(path: str) -> str:
    """The weights of `FILE`, `FILE@DETECTOR` or `FILE?OPTIONS`; a file whose own name is like that stays."""
    return path if Path(path).is_file() else path.partition("?")[0].partition("@")[0]


def files_of_source(source: str) -> list[str]:
    """Its weights and, where it has one, its detector."""
    _, file, detector, _ = _parts(source)
    return [path for path in (file, detector) if path]


def absolute_source(source: str) -> str:
    """The same with whole paths, for a process that runs in another folder."""
    kind, file, detector, options = _parts(source)
    if not file:
        return kind
    return f"{kind}{Path(file).absolute()}{detector and f'@{Path(detector).absolute()}'}{options}"


def content_of_source(source: str) -> str:
    """The same with each file's SHA-256 for its path: what the network computes, wherever its files lie.

    Of a class of one's own it tells the name, not what its code says.

    Raises:
        OSError: a file is missing.
    """
    kind, file, detector, options = _parts(source)
    if not file:
        return kind
    return f"{kind}{sha256_of_file(file)}{detector and f'@{sha256_of_file(detector)}'}{options}"


def contents_of_sources(sources: Iterable[str]) -> dict[str, str]:
    """Source -> `content_of_source`; one that is no file, or gone, is left out."""
    found = {}
    for source in sources:
        try:
            found[source] = content_of_source(source)
        except OSError:
            continue
    return found


def changed_sources(before: Mapping[str, str]) -> list[str]:
    """Those whose content is another than `contents_of_sources` said before; of one that is gone nobody can tell."""
    now = contents_of_sources(before)
    return [source for source, content in before.items() if now.get(source, content) != content]


def _parts(source: str) -> tuple[str, str, str, str]:
    """`KIND:` or nothing, file, detector or nothing, `?OPTIONS` or nothing; a `class:` need not have a file."""
    named = ":" in source and not Path(source).exists()
    kind, _, path = source.partition(":") if named else ("", "", source)
    if kind == "class":
        name, colon, path = path.partition(":")
        return f"class:{name}{colon}", path, "", ""
    file = file_of_source(path)
    rest = path[len(file) :]
    detector = rest[1:] if rest.startswith("@") else ""
    return f"{kind}:" if named else "", file, detector, "" if detector else rest
