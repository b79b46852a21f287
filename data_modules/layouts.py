"""Corpus layouts: where the clips of a corpus lie, and what their names say.

CREMA-D    `VideoFlash/1001_DFA_ANG_XX.flv` with `AudioWAV/1001_DFA_ANG_XX.wav`
VoxCeleb2  `[dev|test/]mp4/id00012/VIDEO/00001.mp4`; clips of one VIDEO folder are of one recording
folder     any folder of videos; the first subfolder names the speaker, loose files have none; those below mean nothing

One's own is a function from the corpus folder to its clips, named as `package.module.function`.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from s2v.errors import InputError
from s2v.files.unreadable_folder import refuse_unreadable
from s2v.nearest_name import did_you_mean
from s2v.own_modules import own_object

VIDEO_SUFFIXES = frozenset(
    {
        ".mp4",
        ".flv",
        ".avi",
        ".mov",
        ".mkv",
        ".webm",
        ".m4v",
        ".mpg",
        ".mpeg",
        ".mts",
        ".m2ts",
        ".mxf",
        ".ts",
        ".wmv",
        ".asf",
        ".dv",
        ".3gp",
        ".3g2",
        ".ogv",
    }
)
CREMA_D_EMOTIONS = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happiness",
    "NEU": "neutral",
    "SAD": "sadness",
}
_CREMA_D_NAME = re.compile(r"(?P<speaker>[^_]+)_(?P<sentence>[^_]+)_(?P<emotion>[^_]+)_(?P<level>[^_]+)")
VOXCELEB2_SPEAKER = re.compile(r"id\d+")


@dataclass(frozen=True)
class FoundClip:
    """A clip of a corpus: its files (relative to the root) and the labels its name carries."""

    clip_id: str
    video: str
    speech: str = ""
    """Separate speech file; empty: the video's own audio track."""
    speaker: str = ""
    emotion: str = ""
    sentence: str = ""
    official_split: str = ""
    missing: str = ""
    """Path (relative) of a part that should be there and is not."""
    recording: str = ""
    """What the clip was cut from, by a name that no other recording of the corpus has, another speaker's neither.

    Clips of one share room, clothes and light; split `recordings` keeps them together. Empty: the layout does not say.
    """


def videos_below(folder: Path) -> list[Path]:
    """All videos in a folder and below, sorted: through links, but for hidden files and folders, as layouts see it.

    None where there is no such folder.

    Raises:
        InputError: a subfolder may not be read, whose videos `os.walk` leaves out without a word.
    """
    return sorted(path for path in map(folder.joinpath, _videos_below(folder)) if path.is_file())


def find_clips(root: Path, layout: str, known: Mapping[str, str] | None = None) -> list[FoundClip]:
    """Every clip under `root`, sorted by id.

    Of several files of one stem (a.mp4, a.mov) one has the plain id, the others' ids have their suffixes.

    Args:
        root: the corpus.
        layout: one of LAYOUTS, or the import path of a function like those.
        known: id -> video, of an earlier look: these keep their ids, and files that came later take others.

    Raises:
        InputError: `root` is no folder, the layout is unknown, or nothing of that layout lies there.
    """
    find = _layout_function(layout)
    if not root.is_dir():
        what = "is a file" if root.is_file() else "does not exist"
        raise InputError(f"the corpus folder {root} {what}; give the folder that holds the clips with --root")
    clips = find(root)
    if not isinstance(clips, list) or not all(isinstance(clip, FoundClip) for clip in clips):
        raise InputError(f"layout {layout}: a list of data_modules.layouts.FoundClip was expected")
    if not clips:  # one's own function; those here have said what they looked for
        raise InputError(f"layout {layout}: it lists no clip of {root}, where {_contents(root)} was found")
    clips.sort(key=lambda clip: (clip.clip_id, clip.video))
    unique: dict[str, FoundClip] = {}
    new = []
    ids = _ids_by_video(known or {})
    for clip in clips:
        kept = next(
            (name for name in ids.get(clip.video, ()) if _is_id_of(name, clip) and name not in unique), ""
        )
        if kept:
            unique[kept] = replace(clip, clip_id=kept)
        else:
            new.append(clip)
    for clip in new:
        clip_id = clip.clip_id if clip.clip_id not in unique else clip.clip_id + Path(clip.video).suffix
        while clip_id in unique:
            clip_id += "+"
        unique[clip_id] = replace(clip, clip_id=clip_id)
    return [unique[clip_id] for clip_id in sorted(unique)]


def _ids_by_video(known: Mapping[str, str]) -> dict[str, list[str]]:
    """A layout of one's own may make several clips of one video."""
    ids: dict[str, list[str]] = {}
    for clip_id in sorted(known):
        ids.setdefault(known[clip_id], []).append(clip_id)
    return ids


def _is_id_of(name: str, clip: FoundClip) -> bool:
    """Whether `find_clips` may have named the clip so; else the layout names it otherwise now."""
    longer = clip.clip_id + Path(clip.video).suffix
    return name == clip.clip_id or (name.startswith(longer) and not name[len(longer) :].strip("+"))


def layout_for_prepare(layout: str) -> str:
    """What `s2v prepare --layout` takes for it: of a function that was only entered in LAYOUTS, its import path."""
    find = LAYOUTS.get(layout)
    if find is None or find.__module__ == __name__:
        return layout
    return f"{find.__module__}.{find.__qualname__}"


def _layout_function(layout: str) -> Callable[[Path], list[FoundClip]]:
    if layout in LAYOUTS:
        return LAYOUTS[layout]
    if "." not in layout:
        raise InputError(
            f"unknown layout {layout!r}{did_you_mean(layout, LAYOUTS)}: one of {', '.join(LAYOUTS)} was expected, or a "
            "function of your own as package.module.function"
        )
    find: Callable[[Path], list[FoundClip]] = own_object(layout, "the layout", "function")
    if not callable(find):
        raise InputError(f"the layout: a function was expected, {layout} is {type(find).__name__}")
    return find


def _find_crema_d(root: Path) -> list[FoundClip]:
    videos = root / "VideoFlash"
    if not videos.is_dir():
        raise InputError(
            f"{root} has no CREMA-D layout: VideoFlash/*.flv and AudioWAV/*.wav were looked for, "
            f"{_contents(root)} found"
        )
    spoken = {
        name.rsplit(".", 1)[0]: name for name in _names(root / "AudioWAV") if name.lower().endswith(".wav")
    }
    filmed = {}
    for name in _names(videos):
        stem, _, suffix = name.rpartition(".")
        if "." + suffix.lower() in VIDEO_SUFFIXES:
            filmed[stem] = name
    if not filmed:
        raise InputError(f"{videos} holds no videos: *.flv was looked for, {_contents(videos)} found")
    clips = []
    for stem in sorted(filmed | spoken):
        match = _CREMA_D_NAME.fullmatch(stem)
        labels = match.groupdict() if match else {"speaker": "", "sentence": "", "emotion": ""}
        clips.append(
            FoundClip(
                clip_id=stem,
                video=f"VideoFlash/{filmed.get(stem, stem + '.flv')}",
                speech=f"AudioWAV/{spoken[stem]}" if stem in spoken else "",
                speaker=labels["speaker"],
                emotion=CREMA_D_EMOTIONS.get(labels["emotion"], ""),
                sentence=labels["sentence"],
                missing="" if stem in filmed else f"VideoFlash/{stem}.flv",
            )
        )
    return clips


def _find_voxceleb2(root: Path) -> list[FoundClip]:
    clips = []
    for path in _videos_below(root):
        parts = path.split("/")
        if len(parts) < 3 or not VOXCELEB2_SPEAKER.fullmatch(parts[-3]):
            continue
        official = next((part for part in reversed(parts[:-3]) if part in ("dev", "test")), "")
        if not official and root.name in ("dev", "test"):
            official = root.name
        stem = parts[-1].rsplit(".", 1)[0]
        clips.append(
            FoundClip(
                clip_id="/".join((*parts[-3:-1], stem)),
                video=path,
                speaker=parts[-3],
                official_split=official,
                recording="/".join(parts[-3:-1]),
            )
        )
    if not clips:
        raise InputError(
            f"{root} has no VoxCeleb2 layout: [dev|test/]mp4/idNNNNN/VIDEO/NNNNN.mp4 was looked "
            f"for, {_contents(root)} found"
        )
    return clips


def _find_folder(root: Path) -> list[FoundClip]:
    clips = []
    for path in _videos_below(root):
        folder, _, name = path.rpartition("/")
        stem = name.rsplit(".", 1)[0]
        clips.append(
            FoundClip(
                clip_id=f"{folder}/{stem}" if folder else stem,
                video=path,
                speaker=path.split("/")[0] if folder else "",
            )
        )
    if not clips:
        raise InputError(
            f"{root} holds no videos: files ending in {', '.join(sorted(VIDEO_SUFFIXES))} were "
            f"looked for, {_contents(root)} found"
        )
    return clips


def _videos_below(root: Path) -> Iterator[str]:
    """Relative paths ('/' between parts) of all video files below `root`; hidden ones are left out.

    Links to folders are followed, but not to one that the link itself lies in: its videos would come again and again.

    Raises:
        InputError: a subfolder may not be read, whose videos `os.walk` leaves out without a word.
    """
    for folder, folders, names in os.walk(root, onerror=refuse_unreadable, followlinks=True):
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and not _leads_back(folder, name)
        )
        below = os.path.relpath(folder, root)
        prefix = "" if below == "." else below.replace(os.sep, "/") + "/"
        for name in sorted(names):
            if os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES and not name.startswith("."):
                yield prefix + name


def _leads_back(folder: str, name: str) -> bool:
    """Whether a subfolder is a link to `folder` or to one on the way to it, which may lead through links too."""
    path = os.path.join(folder, name)
    if not os.path.islink(path):
        return False
    there, here = os.path.realpath(path), Path(folder).absolute()
    return any(os.path.realpath(above) == there for above in (here, *here.parents))


def _names(folder: Path) -> list[str]:
    """Of a folder's files; hidden ones, as macOS leaves beside each file on other file systems, are left out."""
    if not folder.is_dir():
        return []
    return sorted(
        entry.name for entry in os.scandir(folder) if entry.is_file() and not entry.name.startswith(".")
    )


def _contents(folder: Path) -> str:
    names = sorted(os.listdir(folder))
    shown = ", ".join(repr(name) for name in names[:4])
    return "nothing" if not names else shown + (f" and {len(names) - 4} more" if len(names) > 4 else "")


LAYOUTS: dict[str, Callable[[Path], list[FoundClip]]] = {
    "crema_d": _find_crema_d,
    "voxceleb2": _find_voxceleb2,
    "folder": _find_folder,
}
