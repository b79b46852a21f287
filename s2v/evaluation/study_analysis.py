"""A study's numbers from its answers: preferences, strengths, grades, named emotions, agreement, with intervals."""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from s2v.errors import InputError
from s2v.evaluation.bootstrap import drawn_speakers, expanded_tail, mean_estimate
from s2v.evaluation.study_key import KeyItem, StudyKey
from s2v.evaluation.study_plan import QUESTIONS
from s2v.evaluation.study_results import Participant
from s2v.evaluation.study_statistics import bradley_terry, fleiss_kappa, wilson_interval

HALF_A_WIN = 0.5
"""Added to both sides of every two systems compared: one that was always chosen keeps a finite strength."""


def analyze(
    key: StudyKey, people: Sequence[Participant], resamples: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Everything but who was left out, as JSON's types; None where there is no such number.

    Args:
        key: of the study.
        people: whose answers count, at least one; each answered every item.
        resamples: of the bootstrap over participants, which gives the intervals of strengths and grades.
        seed: of the bootstrap.
    """
    return {
        "choices": {question: _choices(question, key, people, resamples, seed) for question in QUESTIONS},
        "ratings": _ratings(key, people, resamples, seed),
        "naming": _naming(key, people),
    }


def _choices(
    question: str, key: StudyKey, people: Sequence[Participant], resamples: int, seed: int
) -> dict[str, Any]:
    items = key.items_of("choice", question)
    place = {name: index for index, name in enumerate(key.systems)}
    wins = np.zeros((len(people), len(place), len(place)))
    for index, person in enumerate(people):
        for name, item in items.items():
            first, second = (place[key.videos[video].system] for video in item.videos)
            if person.answers[name] == item.videos[0]:
                wins[index, first, second] += 1
            else:
                wins[index, second, first] += 1
    total = wins.sum(axis=0)
    pairs = []
    for (first, one), (second, other) in combinations(enumerate(key.systems), 2):
        chosen, trials = int(total[first, second]), int(total[first, second] + total[second, first])
        low, high = wilson_interval(chosen, trials)
        pairs.append(
            {
                "first": one,
                "second": other,
                "first_chosen": chosen,
                "choices": trials,
                "share": chosen / trials if trials else None,
                "low": low,
                "high": high,
            }
        )
    return {
        "pairs": pairs,
        "strengths": _strengths(wins, key.systems, resamples, seed),
        "agreement": _agreement(items, people, lambda item: item.videos),
    }


def _strengths(
    wins: np.ndarray, systems: list[str], resamples: int, seed: int
) -> list[dict[str, Any]] | None:
    """Bradley-Terry from each participant's wins (P, S, S); None where not all systems met, even by way of others."""
    total = wins.sum(axis=0)
    compared = (total + total.T) > 0
    try:
        strengths = bradley_terry(total + HALF_A_WIN * compared)
    except InputError:
        return None
    low, high = np.full((2, len(systems)), math.nan)
    if len(wins) > 1 and resamples > 0:
        drawn = np.einsum("rp,pij->rij", drawn_speakers(len(wins), resamples, seed), wins)
        tail = expanded_tail(len(wins))
        values = bradley_terry(drawn + HALF_A_WIN * compared)
        low, high = np.quantile(values, [tail, 1 - tail], axis=0)
    return [
        {"system": name, "strength": float(value), "low": _known(low[i]), "high": _known(high[i])}
        for i, (name, value) in enumerate(zip(systems, strengths, strict=True))
    ]


def _ratings(key: StudyKey, people: Sequence[Participant], resamples: int, seed: int) -> dict[str, Any]:
    items = key.items_of("rating")
    rows = []
    for system in key.systems:
        own = [name for name, item in items.items() if key.videos[item.videos[0]].system == system]
        grades = [(float(person.answers[name]), person.name) for person in people for name in own]
        mean = mean_estimate([grade for grade, _ in grades], [who for _, who in grades], resamples, seed)
        counts = [sum(grade == step for grade, _ in grades) for step in range(1, 6)]
        rows.append(
            {
                "system": system,
                "mean": _known(mean.mean),
                "low": _known(mean.low),
                "high": _known(mean.high),
                "counts": counts,
            }
        )
    return {"systems": rows, "agreement": _agreement(items, people, lambda _: range(1, 6))}


def _naming(key: StudyKey, people: Sequence[Participant]) -> dict[str, Any]:
    items = key.items_of("naming")
    rows = []
    for system in key.systems if items else []:
        confusion = {true: dict.fromkeys(key.emotions, 0) for true in key.emotions}
        for name, item in items.items():
            video = key.videos[item.videos[0]]
            if video.system == system:
                for person in people:
                    confusion[video.emotion][str(person.answers[name])] += 1
        right = sum(confusion[emotion][emotion] for emotion in key.emotions)
        named = sum(sum(row.values()) for row in confusion.values())
        low, high = wilson_interval(right, named)
        rows.append(
            {
                "system": system,
                "right": right,
                "named": named,
                "share": right / named if named else None,
                "low": low,
                "high": high,
                "confusion": confusion,
            }
        )
    return {"systems": rows, "agreement": _agreement(items, people, lambda _: key.emotions)}


def _agreement(items: dict[str, KeyItem], people: Sequence[Participant], answers_of: Any) -> float | None:
    """Fleiss' kappa over items; a choice's answers are the video planned first and the other, which chance balances."""
    counts = [
        [sum(person.answers[name] == answer for person in people) for answer in answers_of(item)]
        for name, item in items.items()
    ]
    if len(people) < 2 or not counts:
        return None
    return _known(fleiss_kappa(np.array(counts)))


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
