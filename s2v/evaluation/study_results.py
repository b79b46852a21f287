"""Participants' results, which come from strangers: read as data, checked in full, kept or left out with a reason."""

import json
import re
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s2v.evaluation.study_key import StudyKey

RESULT_FORMAT = "s2v-study-result-1"
MOST_BYTES = 1 << 20
MOST_MILLISECONDS = 7 * 24 * 3600 * 1000

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class MalformedResult(Exception):
    """Why a file is no result of this study; the text holds nothing of the file's own."""


@dataclass(frozen=True)
class Participant:
    """One person's answers."""

    file: str
    name: str
    answers: dict[str, str | int]
    """Item -> the chosen video, a grade from 1 to 5, or an emotion."""
    seconds: dict[str, float]
    """Item -> time from seeing it to going on."""


@dataclass(frozen=True)
class ExclusionRules:
    """Whose answers don't count, decided before anyone looks at them."""

    least_seconds: float = 2.0
    wrong_checks: int = 0

    def sentences(self) -> list[str]:
        """The rules in words, for the report."""
        return [
            "A file that is not a result of this study in its exact form is left out as malformed.",
            "A participant's second file is left out: the first in the order of file names counts.",
            "A participant who did not answer every item is left out as incomplete.",
            f"A participant with more than {self.wrong_checks} wrong attention checks is left out.",
            f"A participant whose median time an item is below {self.least_seconds:g} s is left out as too fast.",
        ]

    def reason(self, participant: Participant, key: StudyKey) -> str:
        """Why this participant is left out; empty for one who is kept."""
        missing = len(key.items) - len(participant.answers)
        if missing:
            return f"incomplete: {missing} of {len(key.items)} items have no answer"
        checks = key.items_of("check")
        wrong = sum(not key.passes(item, participant.answers[item]) for item in checks)
        if wrong > self.wrong_checks:
            return f"attention: {wrong} of {len(checks)} checks are wrong, at most {self.wrong_checks} may be"
        median = statistics.median(participant.seconds.values())
        if median < self.least_seconds:
            return f"too fast: median {median:.1f} s an item, expected {self.least_seconds:g} s or more"
        return ""


@dataclass(frozen=True)
class Collected:
    """The participants who count, and (file, reason) of every other file."""

    kept: list[Participant]
    left_out: list[tuple[str, str]]


def collect(paths: list[Path], key: StudyKey, rules: ExclusionRules) -> Collected:
    """Read every file and apply the rules to it, in the order of file names."""
    kept: list[Participant] = []
    left_out: list[tuple[str, str]] = []
    seen: dict[str, str] = {}
    for path in sorted(paths, key=lambda path: (path.name, path)):
        try:
            participant = read_result(path, key)
        except MalformedResult as error:
            left_out.append((path.name, f"malformed: {error}"))
            continue
        reason = rules.reason(participant, key)
        if participant.name in seen:
            reason = f"second file of the participant of {seen[participant.name]}"
        seen.setdefault(participant.name, path.name)
        if reason:
            left_out.append((path.name, reason))
        else:
            kept.append(participant)
    return Collected(kept, left_out)


def read_result(path: Path, key: StudyKey) -> Participant:
    """Read one file; raises MalformedResult for anything but a result of this study."""
    content = _parsed(path)
    if not isinstance(content, dict) or content.get("format") != RESULT_FORMAT:
        raise MalformedResult(f"not of the format {RESULT_FORMAT}")
    if content.get("study") != key.study:
        raise MalformedResult("of another study than the key")
    name, stated = content.get("participant"), content.get("answers")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise MalformedResult("the participant's name is not 1 to 64 letters, digits, - or _")
    if not isinstance(stated, list):
        raise MalformedResult("no list of answers")
    answers: dict[str, str | int] = {}
    seconds: dict[str, float] = {}
    for number, entry in enumerate(stated, start=1):
        item = entry.get("item") if isinstance(entry, dict) else None
        if not isinstance(item, str) or item not in key.items:
            raise MalformedResult(f"answer {number} is to no item of the study")
        if item in answers:
            raise MalformedResult(f"answer {number} is to an item answered before")
        if not _fits(entry.get("answer"), item, key):
            raise MalformedResult(f"answer {number} is none of those offered")
        time = entry.get("ms")
        if type(time) is not int or not 0 <= time <= MOST_MILLISECONDS:
            raise MalformedResult(f"answer {number} has no time in milliseconds")
        answers[item], seconds[item] = entry["answer"], time / 1000
    return Participant(path.name, name, answers, seconds)


def _parsed(path: Path) -> Any:
    try:
        if path.is_dir():
            raise MalformedResult("a folder: give the files in it, as FOLDER/*.json")
        if not path.is_file():
            raise MalformedResult("no such file")
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise MalformedResult(error.strerror or "can't be read") from error
    if len(content) > MOST_BYTES:
        raise MalformedResult(f"larger than {MOST_BYTES} bytes")
    try:
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise MalformedResult("not JSON") from error


def _fits(answer: Any, item: str, key: StudyKey) -> bool:
    asked = key.items[item]
    if asked.kind == "rating":
        return type(answer) is int and 1 <= answer <= 5
    return isinstance(answer, str) and answer in (key.emotions if asked.kind == "naming" else asked.videos)
