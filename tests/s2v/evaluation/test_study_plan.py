"""A study's plan: what is promised about balance, for many seeds and sizes."""

from collections import Counter
from itertools import combinations, pairwise

import pytest

from s2v.errors import InputError
from s2v.evaluation.study_plan import QUESTIONS, REAL, SHIFTED, default_trials, plan_study

CLIPS = [f"clip{number}" for number in range(5)]
EMOTIONS = {"clip0": "anger", "clip1": "sadness", "clip2": "anger"}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("systems", "trials"), [(["a"], 6), (["a", "b"], 7), (["a", "b", "c"], 12)])
def test_every_two_meet_equally_often_on_either_side(systems: list[str], trials: int, seed: int) -> None:
    items = plan_study(CLIPS, systems, EMOTIONS, trials, seed)
    pairs = [frozenset(pair) for pair in combinations([*systems, REAL], 2)]
    for question in QUESTIONS:
        choices = [item for item in items if item.kind == "choice" and item.question == question]
        assert len(choices) == trials
        met = Counter(frozenset(item.systems) for item in choices)
        assert set(met) == set(pairs) and max(met.values()) - min(met.values()) <= 1
        for pair in pairs:
            one, other = sorted(pair)
            shown = [item.systems for item in choices if set(item.systems) == pair]
            assert abs(shown.count((one, other)) - shown.count((other, one))) <= 1
            # no clip twice before all others
            clips = Counter(item.clip for item in choices if set(item.systems) == pair)
            assert max(clips.values()) <= -(-len(shown) // len(CLIPS))
    checks = [item.systems for item in items if item.kind == "check"]
    assert len(checks) >= 4
    assert abs(checks.count((REAL, SHIFTED)) - checks.count((SHIFTED, REAL))) <= 1
    ratings = Counter(item.systems for item in items if item.kind == "rating")
    assert len(ratings) == len(systems) + 1 and max(ratings.values()) - min(ratings.values()) <= 1
    used = Counter(item.clip for item in items if item.kind != "naming")
    assert set(used) == set(CLIPS)
    assert {item.clip for item in items if item.kind == "naming"} <= set(EMOTIONS)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", ["rating", "naming"])
def test_every_system_is_judged_alone_on_the_same_clips(kind: str, seed: int) -> None:
    items = [item for item in plan_study(CLIPS, ["a", "b"], EMOTIONS, 6, seed) if item.kind == kind]
    clips = {
        name: sorted(item.clip for item in items if item.systems == (name,)) for name in ("a", "b", REAL)
    }
    assert clips["a"] == clips["b"] == clips[REAL] and len(set(clips["a"])) == 2
    if kind == "naming":  # two clips of two emotions, though there are more of one
        assert {EMOTIONS[clip] for clip in clips["a"]} == {"anger", "sadness"}


def test_which_side_a_system_is_on_first_is_drawn() -> None:
    """Of one question between two: with a fixed first side, one would be on the left in every small study."""
    sides = {
        item.systems
        for seed in range(20)
        for item in plan_study(CLIPS, ["a"], EMOTIONS, 1, seed)
        if item.kind == "choice" and item.question == QUESTIONS[0]
    }
    assert sides == {("a", REAL), (REAL, "a")}


def test_the_seed_decides_and_order_is_random() -> None:
    def plan(seed: int) -> list:
        return plan_study(CLIPS, ["a", "b"], EMOTIONS, 6, seed)

    assert plan(1) == plan(1)
    assert plan(1) != plan(2)
    kinds = [item.kind for item in plan(1)]
    assert sorted(kinds) == sorted(item.kind for item in plan(2))
    # one after the other they would be 5 kinds of 3 questions, with six changes
    asked = [(item.kind, item.question) for item in plan(1)]
    assert sum(one != other for one, other in pairwise(asked)) > 12


@pytest.mark.parametrize("seed", range(5))
def test_clips_are_used_equally_often_and_a_longer_study_has_more_checks(seed: int) -> None:
    items = plan_study(CLIPS, ["a"], {}, 7, seed)
    used = Counter(item.clip for item in items if item.kind == "choice")
    assert max(used.values()) - min(used.values()) <= 1  # 21 choices of 5 clips
    for trials, checks in ((6, 4), (30, 10)):
        planned = plan_study(CLIPS, ["a"], {}, trials, seed)
        assert sum(item.kind == "check" for item in planned) == checks


def test_without_two_emotions_none_is_asked_for() -> None:
    items = plan_study(CLIPS, ["a"], {"clip0": "anger"}, 6, 0)
    assert "naming" not in {item.kind for item in items}


def test_what_can_not_be_planned_is_said() -> None:
    assert default_trials(["a"]) == 6 and default_trials(["a", "b", "c"]) == 12
    with pytest.raises(InputError, match="--trials 6 or more"):
        plan_study(CLIPS, ["a", "b", "c"], {}, 5, 0)
    assert plan_study(CLIPS, ["a", "b", "c"], {}, 6, 0)
    with pytest.raises(InputError, match="can't be called 'real'"):
        plan_study(CLIPS, ["real"], {}, 5, 0)
    with pytest.raises(InputError, match="at least one system"):
        plan_study([], ["a"], {}, 5, 0)
