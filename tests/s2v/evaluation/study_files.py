"""A small study written by hand: a key of seven items, and results that answer it."""

import json
from pathlib import Path
from typing import Any

KEY: dict[str, Any] = {
    "format": "s2v-study-key-1",
    "study": "s1",
    "seed": 0,
    "systems": ["ours", "real"],
    "emotions": ["anger", "sadness"],
    "videos": {
        "o1.mp4": {"system": "ours", "clip": "c1", "emotion": "anger"},
        "o2.mp4": {"system": "ours", "clip": "c2", "emotion": "sadness"},
        "r1.mp4": {"system": "real", "clip": "c1", "emotion": "anger"},
        "r2.mp4": {"system": "real", "clip": "c2", "emotion": "sadness"},
        "x1.mp4": {"system": "real, sound shifted", "clip": "c1", "emotion": "anger"},
    },
    "items": [
        {"id": "real1", "kind": "choice", "question": "realism", "videos": ["o1.mp4", "r1.mp4"]},
        {"id": "real2", "kind": "choice", "question": "realism", "videos": ["r2.mp4", "o2.mp4"]},
        {"id": "rate1", "kind": "rating", "question": "realism", "videos": ["o1.mp4"]},
        {"id": "rate2", "kind": "rating", "question": "realism", "videos": ["r1.mp4"]},
        {"id": "name1", "kind": "naming", "question": "emotion", "videos": ["o1.mp4"]},
        {"id": "name2", "kind": "naming", "question": "emotion", "videos": ["o2.mp4"]},
        {"id": "check", "kind": "check", "question": "sync", "videos": ["x1.mp4", "r1.mp4"]},
    ],
}

ANSWERS: dict[str, Any] = {
    "real1": "r1.mp4",
    "real2": "r2.mp4",
    "rate1": 2,
    "rate2": 5,
    "name1": "anger",
    "name2": "anger",
    "check": "r1.mp4",
}


def write_key(folder: Path) -> Path:
    path = folder / "key.json"
    path.write_text(json.dumps(KEY))
    return path


def result(participant: str, ms: int = 5000, **changed: Any) -> dict[str, Any]:
    """A result of `participant`, whose answers differ from ANSWERS as said; None leaves one out."""
    answers = {**ANSWERS, **changed}
    return {
        "format": "s2v-study-result-1",
        "study": "s1",
        "participant": participant,
        "mirrored": False,
        "answers": [
            {"item": item, "answer": answer, "ms": ms}
            for item, answer in answers.items()
            if answer is not None
        ],
    }


def write_result(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps(content))
    return path
