"""Which clips are for training, validation and test: functions of names alone, written out as lists.

No file order, no random state: names are put in the order of a hash, so that a list made on any machine is
the same, and 70/15/15 of it are taken.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Sequence
from pathlib import Path

from data_modules.clip_manifest import ManifestRow
from s2v.errors import InputError
from s2v.files.whole_file import write_whole_file

PARTS = ("train", "val", "test")
_VAL = _TEST = 0.15
Split = dict[str, list[str]]
"""part -> clip ids, sorted."""


def make_split(rows: Sequence[ManifestRow], kind: str) -> Split:
    """Splits the usable clips.

    kind: `seen` by clip, each speaker of three clips or more in all parts (clips without a speaker as if they had one
    between them); `recordings` the same by recording, so that no test clip is cut from a video that training clips are
    cut from, and speakers of fewer than three in training alone; `unseen` by speaker; `sentences` by sentence;
    `official` as the corpus' authors say (validation: 5 % of their training speakers).

    Copies of one file (the same `sha256`) never lie in two parts, whoever they are said to be of: `seen` deals them out
    together, `recordings`, `unseen` and `sentences` all recordings, speakers or sentences that share one, and so does
    `official` for validation; of the authors' training clips it leaves out those that are copies of their test clips.

    Raises:
        InputError: unknown kind, or the labels it needs are missing.
    """
    if kind not in _KINDS:
        raise InputError(
            f"unknown split {kind!r}: {', '.join(_KINDS)} or a folder with train.txt, val.txt and "
            "test.txt was expected"
        )
    assigned = _KINDS[kind]([row for row in rows if row.ok])
    return {part: sorted(assigned.get(part, [])) for part in PARTS}


def write_split(folder: Path, split: Split) -> None:
    """Writes `{train,val,test}.txt`, a clip id a line, unless they already say the same.

    How many clips were in another part before (clips came or went) is told in a line.
    """
    paths = {part: folder / f"{part}.txt" for part in split}
    old = {part: path.read_bytes() for part, path in paths.items() if path.is_file()}
    before = {line: part for part, content in old.items() for line in content.splitlines()}
    moved: Counter[str] = Counter()
    for part, names in split.items():
        lines = [name.encode("unicode_escape") for name in names]
        moved.update(f"{before[line]} to {part}" for line in lines if before.get(line, part) != part)
        content = b"".join(line + b"\n" for line in lines)
        if old.get(part) != content:
            write_whole_file(paths[part], content)
    _report_moved(folder, moved)


def _report_moved(folder: Path, moved: Counter[str]) -> None:
    if not moved:
        return
    from lightning.pytorch.utilities import rank_zero_info  # slow to import, and seldom needed

    rank_zero_info(
        f"the split in {folder} is another since clips came or went: "
        + ", ".join(f"{count} went from {way}" for way, count in sorted(moved.items()))
        + "; for runs to be compared give all of them the lists of one, a folder with train.txt, val.txt and test.txt "
        "as data.init_args.split"
    )


def split_of(rows: Sequence[ManifestRow], split: str) -> Split:
    """The split that `--split` and `data.init_args.split` mean: a kind for `make_split`, or lists in a folder."""
    return read_split(Path(split), rows) if is_folder_of_lists(split) else make_split(rows, split)


def is_folder_of_lists(split: str) -> bool:
    """A folder of one's own that is called like a kind (`seen`) does not take its place: that one is `./seen`."""
    return split not in _KINDS and Path(split).is_dir()


def read_split(folder: Path, rows: Sequence[ManifestRow]) -> Split:
    """Reads lists written by hand or by `write_split`; clips that are not usable here are left out.

    Names that the manifest does not have at all, usable or not, are told in a line for each list.

    Raises:
        InputError: a list is missing or not UTF-8, the manifest has none of its names, or a clip is in two parts.
    """
    usable = {row.clip_id: row.ok for row in rows}
    split: Split = {}
    where: dict[str, str] = {}
    for part in PARTS:
        path = folder / f"{part}.txt"
        if not path.is_file():
            raise InputError(f"no list {path}: a folder with train.txt, val.txt and test.txt was expected")
        try:
            # some editors begin with a byte-order mark
            lines = path.read_text(encoding="utf-8-sig").split("\n")
            names = [line.encode("ascii", "backslashreplace").decode("unicode_escape") for line in lines]
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path} can't be read ({error.reason}): a list of clip ids in UTF-8 was expected, a backslash in an "
                "id written as \\\\"
            ) from error
        # what was typed or pasted ends in spaces, but so may the name of a clip
        names = [name for name in (line if line in usable else line.strip() for line in names) if name]
        _report_unknown(path, names, usable)
        for name in names:
            if name in where:
                raise InputError(f"{path} repeats clip {name!r}, which is already in {where[name]}")
            where[name] = str(path)
        split[part] = sorted(name for name in names if usable.get(name))
    return split


def _report_unknown(path: Path, names: Sequence[str], known: Container[str]) -> None:
    unknown = [name for name in names if name not in known]
    if not unknown:
        return
    first = ", ".join(map(repr, unknown[:3])) + (", ..." if len(unknown) > 3 else "")
    text = f"{path} names {len(unknown)} clips of {len(names)} that the manifest does not have: {first}"
    if len(unknown) == len(names):
        raise InputError(
            f"{text}; ids as in the column clip_id of manifest.csv were expected (an empty list is an empty part)"
        )
    from lightning.pytorch.utilities import rank_zero_info  # slow to import, and seldom needed

    rank_zero_info(f"{text}; they are left out: misspelt, or not prepared?")


def _seen(rows: Sequence[ManifestRow]) -> Split:
    # a recording that lies in the corpus twice must not be trained on and tested
    copies: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        copies[row.sha256 or row.clip_id].append(row.clip_id)
    together = {min(names): names for names in copies.values()}
    assigned: Split = defaultdict(list)
    firsts = [row for row in rows if row.clip_id in together]
    for names in _grouped(firsts, lambda row: row.speaker).values():
        for part, chosen in _portions(names).items():
            assigned[part] += [copy for name in chosen for copy in together[name]]
    return assigned


def _recordings(rows: Sequence[ManifestRow]) -> Split:
    _check_labelled(
        rows,
        lambda row: row.recording,
        "recording",
        "run the same `s2v prepare` again where the layout says it (VoxCeleb2's does, or FoundClip.recording of a "
        "layout of your own: nothing is decoded anew), or use split 'seen'",
    )
    together = _grouped_with_copies(rows, lambda row: row.recording)
    speaker = {row.clip_id: row.speaker for row in rows}
    of_speaker: dict[str, list[str]] = defaultdict(list)
    for recording, names in together.items():
        # one of several people is dealt out once, as the first one's
        of_speaker[min(speaker[name] for name in names)].append(recording)
    assigned: Split = defaultdict(list)
    for recordings in of_speaker.values():
        portions = _portions(recordings) if len(recordings) >= len(PARTS) else {"train": recordings}
        for part, chosen in portions.items():
            assigned[part] += [name for recording in chosen for name in together[recording]]
    _report_untested(set(speaker.values()), {speaker[name] for name in assigned["test"]})
    return assigned


def _report_untested(speakers: set[str], tested: set[str]) -> None:
    untested = speakers - tested - {""}
    if untested:
        # slow to import, and seldom needed
        from lightning.pytorch.utilities import rank_zero_info

        rank_zero_info(
            f"split 'recordings': {len(untested)} of {len(speakers - {''})} speakers have no test clip; who has fewer "
            "than three recordings is in training alone"
        )


def _unseen(rows: Sequence[ManifestRow]) -> Split:
    return _by_label(rows, lambda row: row.speaker, "speaker")


def _sentences(rows: Sequence[ManifestRow]) -> Split:
    return _by_label(rows, lambda row: row.sentence, "sentence")


def _official(rows: Sequence[ManifestRow]) -> Split:
    unplaced = [row.clip_id for row in rows if row.official_split not in ("dev", "test")]
    if unplaced:
        raise InputError(
            f"split 'official' needs every clip below a folder dev/ or test/; {len(unplaced)} are "
            f"not, the first is {unplaced[0]!r}; move VoxCeleb2's training set, mp4/, below dev/ and its test set's "
            "mp4/ below test/ and run `s2v prepare` again, or use split 'seen' or 'unseen'"
        )
    test = [row.clip_id for row in rows if row.official_split == "test"]
    tested = {row.sha256 for row in rows if row.official_split == "test"} - {""}
    dev = _grouped_with_copies(
        [row for row in rows if row.official_split == "dev" and row.sha256 not in tested],
        lambda row: row.speaker,
    )
    held_out = set(_in_hash_order(dev)[: max(1, round(0.05 * len(dev)))] if len(dev) > 1 else [])
    return {
        "train": [name for speaker, names in dev.items() if speaker not in held_out for name in names],
        "val": [name for speaker in held_out for name in dev[speaker]],
        "test": test,
    }


def _by_label(rows: Sequence[ManifestRow], label: Callable[[ManifestRow], str], word: str) -> Split:
    _check_labelled(rows, label, word, "use split 'seen'")
    groups = _grouped_with_copies(rows, label)
    return {
        part: [name for value in values for name in groups[value]]
        for part, values in _portions(groups).items()
    }


def _check_labelled(
    rows: Sequence[ManifestRow], label: Callable[[ManifestRow], str], word: str, remedy: str
) -> None:
    unlabelled = [row.clip_id for row in rows if not label(row)]
    if unlabelled:
        raise InputError(
            f"this split needs a {word} for every clip; {len(unlabelled)} of {len(rows)} have none, "
            f"the first is {unlabelled[0]!r}; {remedy}"
        )


def _portions(names: Iterable[str]) -> Split:
    """70/15/15 in hash order; three names or more leave no part empty, two go to train and test."""
    ordered = _in_hash_order(names)
    count = len(ordered)
    test = max(round(_TEST * count), 1) if count >= 2 else 0
    val = max(round(_VAL * count), 1) if count >= 3 else 0
    return {"test": ordered[:test], "val": ordered[test : test + val], "train": ordered[test + val :]}


def _in_hash_order(names: Iterable[str]) -> list[str]:
    return sorted(
        names, key=lambda name: (hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest(), name)
    )


def _grouped(rows: Sequence[ManifestRow], label: Callable[[ManifestRow], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        groups[label(row)].append(row.clip_id)
    return groups


def _grouped_with_copies(
    rows: Sequence[ManifestRow], label: Callable[[ManifestRow], str]
) -> dict[str, list[str]]:
    """As `_grouped`, but labels that share a file, directly or by way of others, are one group, named by their first.

    Union-find; the first in the alphabet leads, so that the order of rows does not matter.
    """
    leader: dict[str, str] = {label(row): label(row) for row in rows}
    holder: dict[str, str] = {}

    def led_by(name: str) -> str:
        while leader[name] != name:
            leader[name] = name = leader[leader[name]]  # the next way is half as long
        return name

    for row in rows:
        if row.sha256:
            one, other = led_by(label(row)), led_by(holder.setdefault(row.sha256, label(row)))
            leader[max(one, other)] = min(one, other)
    return _grouped(rows, lambda row: led_by(label(row)))


_KINDS: dict[str, Callable[[Sequence[ManifestRow]], Split]] = {
    "seen": _seen,
    "recordings": _recordings,
    "unseen": _unseen,
    "sentences": _sentences,
    "official": _official,
}
