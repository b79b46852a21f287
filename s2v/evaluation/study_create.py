"""`s2v study create`: a folder to put on any web server, and beside it the key that says which video is whose."""

import argparse
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2v.errors import InputError
from s2v.files.whole_file import whole_file

if TYPE_CHECKING:
    from s2v.evaluation.study_plan import Item

STUDY_FORMAT = "s2v-study-1"
KEY_FORMAT = "s2v-study-key-1"
PAGE_FOLDER = "page"
KEY_FILE = "key.json"


def add_create_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `s2v study create` to `parser`."""
    parser.add_argument(
        "--systems",
        nargs="+",
        required=True,
        metavar="NAME=DIR",
        help="each system's videos, with sound; clips have the same names in every folder",
    )
    parser.add_argument(
        "--real",
        type=Path,
        required=True,
        metavar="DIR",
        help="the real videos. The emotions that participants are to name come from the folder's clips.csv (clip_id, "
        "emotion), or else from CREMA-D's file names",
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="a new folder for the page and its key"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="random seed of order, sides and clips (default: %(default)s)"
    )
    parser.add_argument(
        "--trials",
        type=int,
        metavar="N",
        help="choices for each question, ratings, and namings (default: 2 for every two systems, at least 6)",
    )
    parser.add_argument(
        "--title",
        default="Talking faces: a study",
        help="what participants read first (default: %(default)s)",
    )


def run_create(args: argparse.Namespace) -> int:
    """Plans, writes videos, page and key; prints what is where."""
    from rich.console import Console
    from rich.progress import track

    from s2v.evaluation.study_page import study_page
    from s2v.evaluation.study_plan import REAL, SHIFTED, default_trials, plan_study
    from s2v.evaluation.study_videos import (
        find_study_videos,
        known_emotions,
        missing_clips,
        shared_clips,
        write_study_video,
    )

    systems = parse_systems(args.systems)
    found = find_study_videos(args.real, systems)
    sources = shared_clips(found)
    emotions = known_emotions(args.real, list(sources))
    trials = args.trials if args.trials is not None else default_trials(list(systems))
    items = plan_study(list(sources), list(systems), emotions, trials, args.seed)
    shown = sorted({(system, item.clip) for item in items for system in item.systems})
    names = {video: f"{secrets.token_hex(8)}.mp4" for video in shown}
    study, key = study_and_key(items, names, emotions, [*systems, REAL], args.title, args.seed)

    sizes: dict[tuple[int, int], set[str]] = {}
    errors = Console(stderr=True)
    with _new_folder(args.output) as folder:
        # by their drawn names: a server tells when each file was written, and one system's would follow each other
        in_order = sorted(shown, key=lambda video: names[video])
        for system, clip in track(in_order, "videos", console=errors, disable=not errors.is_terminal):
            source = sources[clip][REAL if system == SHIFTED else system]
            target = folder / PAGE_FOLDER / "videos" / names[system, clip]
            sizes.setdefault(write_study_video(source, target, system == SHIFTED), set()).add(system)
        _write_json(folder / KEY_FILE, key)
        _write_json(folder / PAGE_FOLDER / "study.json", study)
        (folder / PAGE_FOLDER / "index.html").write_bytes(study_page(study).encode("utf-8"))

    if len(sizes) > 1:
        listing = "; ".join(f"{w}x{h}: {', '.join(sorted(who))}" for (h, w), who in sorted(sizes.items()))
        print(f"warning: pictures differ in size, which may tell systems apart ({listing})")
    if missing := missing_clips(found):
        counts = ", ".join(f"{name} lacks {count}" for name, count in missing.items())
        print(f"warning: {len(sources)} clips are in every folder, no other is shown ({counts})")
    if not study["emotions"]:
        print(
            "no emotion is to be named: neither a clips.csv beside the real videos nor CREMA-D's names tell two"
        )
    page = args.output / PAGE_FOLDER
    print(f"{len(items)} screens, {len(shown)} videos: serve {page} (try: python -m http.server -d {page})")
    print("an address that ends in ?participant=NAME names the participant; otherwise a random name is drawn")
    print(f"{args.output / KEY_FILE} says which video is whose: keep it, and keep it off the server")
    return 0


def study_and_key(
    items: "list[Item]",
    names: dict[tuple[str, str], str],
    emotions: dict[str, str],
    systems: list[str],
    title: str,
    seed: int,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What participants get, which says nothing of systems, clips or checks; and what the analysis needs.

    Args:
        items: the plan.
        names: (system, clip) -> file name of its video.
        emotions: clip -> emotion.
        systems: in the order of the tables.
        title: what participants read first.
        seed: of the plan, for the record.
    """
    asked_for = sorted(set(emotions.values())) if any(item.kind == "naming" for item in items) else []
    key_items: list[dict[str, Any]] = [
        {
            "id": secrets.token_hex(6),
            "kind": item.kind,
            "question": item.question,
            "videos": [names[system, item.clip] for system in item.systems],
        }
        for item in items
    ]
    study = {
        "format": STUDY_FORMAT,
        "id": secrets.token_hex(8),
        "title": title,
        "emotions": asked_for,
        "items": [{**item, "kind": "choice"} if item["kind"] == "check" else item for item in key_items],
    }
    videos = {
        name: {"system": system, "clip": clip, "emotion": emotions.get(clip, "")}
        for (system, clip), name in names.items()
    }
    key = {
        "format": KEY_FORMAT,
        "study": study["id"],
        "seed": seed,
        "systems": systems,
        "emotions": asked_for,
        "videos": videos,
        "items": key_items,
    }
    return study, key


def parse_systems(stated: list[str]) -> dict[str, Path]:
    """NAME=DIR arguments -> folders by name; raises InputError for another form or a name given twice."""
    systems: dict[str, Path] = {}
    for text in stated:
        name, equals, folder = text.partition("=")
        if not equals or not name.strip() or not folder:
            raise InputError(f"--systems: expected NAME=DIR, got {text!r}")
        if name in systems:
            raise InputError(f"--systems: {name!r} is given twice")
        systems[name] = Path(folder)
    return systems


@contextmanager
def _new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which gets its name when all is in it; if an exception ends the block it is removed."""
    try:
        if path.is_dir() and any(path.iterdir()):
            raise InputError(f"{path} is not empty: --output names a new folder")
        with whole_file(path) as temporary:
            temporary.mkdir()
            yield temporary
    except OSError as error:
        raise InputError(f"{path} can't be written: {error.strerror or error}") from error


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", "utf-8")
