"""Which recording becomes which video: the arguments of `s2v export` as a list, checked before any work."""

import glob
import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

from s2v.errors import InputError
from s2v.files.unreadable_folder import refuse_unreadable

# fmt: off
MEDIA_SUFFIXES = {
    ".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".oga", ".opus", ".wma", ".aif", ".aiff", ".amr", ".caf",
    ".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".flv", ".mpg", ".mpeg", ".ts", ".3gp", ".wmv", ".ogv",
}
# fmt: on
"""What is taken from a folder; a file named on the command line may have any suffix."""


@dataclass(frozen=True)
class Recording:
    """A recording, and its path within the folder or pattern it was found by."""

    path: Path
    relative: PurePath


@dataclass(frozen=True)
class Export:
    """A recording and the video to make of it."""

    speech: Path
    output: Path


def plan_exports(speech: list[str], output: str) -> list[Export]:
    """Say which video is made of which recording.

    With an `output` that ends in .mp4, the one recording becomes that file. In every other case `output` is a
    folder, and a recording becomes `<relative path without suffix>.mp4` in it, or what `in_folder` makes of
    names that would be the same.

    Args:
        speech: files, folders (searched at every depth) and glob patterns (`**` for any depth).
        output: a file or folder.

    Raises:
        InputError: `output` or one of `speech` is empty, nothing is found, two recordings would become one video, or
            a video replace a recording.
    """
    if not output:  # Path("") is the current folder
        raise InputError("--output is empty: give NAME.mp4 or a folder")
    target = Path(output)
    found: dict[str, Recording] = {}
    for argument in speech:
        for recording in find_recordings(argument, target):
            # links to one file are recordings of their own: corpora of git-annex link identical clips
            found.setdefault(os.path.abspath(recording.path), recording)
    suffix = target.suffix.lower()
    if target.is_dir() or suffix not in MEDIA_SUFFIXES:
        exports = in_folder(list(found.values()), target)
    elif suffix != ".mp4":
        raise InputError(
            f"--output {output}: videos are MP4: name it {target.with_suffix('.mp4')}, or a folder"
        )
    elif len(found) > 1:
        raise InputError(f"--output {output} names one video for {len(found)} recordings: give a folder")
    else:
        exports = [Export(recording.path, target) for recording in found.values()]
    recordings = set(map(os.path.realpath, found))
    for export in exports:
        if os.path.realpath(export.output) in recordings:
            raise InputError(f"{export.output} is itself one of the recordings: choose another --output")
    return exports


def find_recordings(argument: str, output: Path) -> list[Recording]:
    """The recordings that one `--speech` argument means, at least one.

    What a folder or pattern finds below `output` is left out: these are videos of an earlier run.
    """
    if not argument:  # Path("") is the current folder
        raise InputError("--speech is empty: give a recording, a folder or a pattern")
    path = Path(argument)
    if path.is_file():
        return [Recording(path, PurePath(path.name))]
    made = Path(os.path.realpath(output))
    if path.is_dir():
        base, candidates = path, files_below(path)
        if Path(os.path.realpath(base)) == made:
            raise InputError(
                f"--output {output} is the folder of the recordings: choose another, such as {output}/videos"
            )
    elif glob.has_magic(argument):
        base, candidates = fixed_part(argument), sorted(map(Path, glob.glob(argument, recursive=True)))
    else:
        raise InputError(f"--speech: there is no file, folder or match for {argument}: check the path")
    inside = Path(os.path.realpath(base)) in made.parents
    kept = [
        Recording(candidate, candidate.relative_to(base))
        for candidate in candidates
        if is_media(candidate) and not (inside and made in Path(os.path.realpath(candidate)).parents)
    ]
    if not kept:
        raise InputError(f"--speech: there is no audio or video file in {argument}: check the path")
    return kept


def files_below(folder: Path) -> list[Path]:
    """All files in a folder and at any depth below it, through links to folders too, sorted.

    Raises:
        InputError: a subfolder may not be read; `Path.rglob` leaves it out without a word.
    """
    found: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=refuse_unreadable, followlinks=True):
        found.extend(Path(place, name) for name in names)
        here = Path(os.path.realpath(place))
        above = {here, *here.parents}  # a link to where one has come from would go round for ever
        folders[:] = [name for name in folders if Path(os.path.realpath(Path(place, name))) not in above]
    return sorted(found)


def is_media(path: Path) -> bool:
    """Whether this is a file with a recording's name; a dot in front marks other programs' own files."""
    return path.suffix.lower() in MEDIA_SUFFIXES and not path.name.startswith(".") and path.is_file()


def fixed_part(pattern: str) -> Path:
    """The folder that comes before a glob pattern's first special character."""
    parts: list[str] = []
    for part in Path(pattern).parts[:-1]:
        if glob.has_magic(part):
            break
        parts.append(part)
    return Path(*parts)


def in_folder(recordings: Iterable[Recording], folder: Path) -> list[Export]:
    """Name a video in `folder` for each recording, no two the same.

    Recordings of one name in several folders keep so much of their path as tells them apart; recordings that
    differ in their suffix alone keep it (`a.wav.mp4`, `a.mp3.mp4`).
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--output {folder} is neither a folder nor named .mp4: choose another")
    names: dict[Recording, PurePath] = {}
    for same in grouped((recording, recording.relative) for recording in recordings):
        paths = [Path(os.path.abspath(recording.path)) for recording in same]
        common = os.path.commonpath([path.parent for path in paths])
        names |= {
            recording: recording.relative if len(same) == 1 else path.relative_to(common)
            for recording, path in zip(same, paths, strict=True)
        }
    exports = []
    for same in grouped((recording, name.with_suffix(".mp4")) for recording, name in names.items()):
        for recording in same:
            name = names[recording]
            name = name.with_suffix(".mp4") if len(same) == 1 else name.with_name(name.name + ".mp4")
            exports.append(Export(recording.path, folder / name))
    first: dict[Path, Export] = {}
    for export in exports:
        other = first.setdefault(export.output, export)
        if other is not export:
            raise InputError(
                f"{other.speech} and {export.speech} would both become {export.output}: rename one"
            )
    return exports


def grouped(named: Iterable[tuple[Recording, PurePath]]) -> list[list[Recording]]:
    """Recordings of the same name together, in the order they came."""
    groups: dict[PurePath, list[Recording]] = defaultdict(list)
    for recording, name in named:
        groups[name].append(recording)
    return list(groups.values())
