"""A study's key as `s2v study create` wrote it: which video is whose, and which choices are checks."""

import json
from dataclasses import dataclass
from pathlib import Path

from s2v.errors import InputError
from s2v.evaluation.study_create import KEY_FORMAT
from s2v.evaluation.study_plan import REAL, SHIFTED

_VIDEOS = {"choice": 2, "check": 2, "rating": 1, "naming": 1}


@dataclass(frozen=True)
class KeyItem:
    """One screen."""

    kind: str
    """choice, check, rating or naming."""
    question: str
    videos: tuple[str, ...]


@dataclass(frozen=True)
class ShownVideo:
    """Whose a video is, of what clip, with what emotion (empty: not known)."""

    system: str
    clip: str
    emotion: str


@dataclass(frozen=True)
class StudyKey:
    """Everything the page kept from the participants."""

    study: str
    systems: list[str]
    emotions: list[str]
    videos: dict[str, ShownVideo]
    items: dict[str, KeyItem]

    def items_of(self, kind: str, question: str | None = None) -> dict[str, KeyItem]:
        """Items of a kind (and question) by their ids."""
        return {
            name: item
            for name, item in self.items.items()
            if item.kind == kind and question in (None, item.question)
        }

    def passes(self, item: str, answer: str | int) -> bool:
        """Whether an answer to a check names the video whose sound is in step."""
        return self.videos[str(answer)].system == REAL and answer in self.items[item].videos


def read_study_key(path: Path) -> StudyKey:
    """Read a key; raises InputError for a file that is none."""
    try:
        content = json.loads(path.read_text("utf-8"))
        if content["format"] != KEY_FORMAT:
            raise ValueError(f"format {content['format']!r}")
        key = StudyKey(
            study=str(content["study"]),
            systems=[str(name) for name in content["systems"]],
            emotions=[str(name) for name in content["emotions"]],
            videos={
                name: ShownVideo(str(video["system"]), str(video["clip"]), str(video["emotion"]))
                for name, video in content["videos"].items()
            },
            items={
                str(item["id"]): KeyItem(str(item["kind"]), str(item["question"]), tuple(item["videos"]))
                for item in content["items"]
            },
        )
        for name, item in key.items.items():
            shown = [key.videos[video] for video in item.videos]
            if len(shown) != _VIDEOS[item.kind]:
                raise ValueError(f"item {name} has {len(shown)} videos")
            if any(video.system not in (*key.systems, SHIFTED) for video in shown):
                raise ValueError(f"item {name} has a video of no system")
            if item.kind == "naming" and shown[0].emotion not in key.emotions:
                raise ValueError(f"item {name} shows no known emotion")
    except OSError as error:
        raise InputError(f"--key {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"--key {path}: not a key that s2v study create wrote ({error})") from error
    return key
