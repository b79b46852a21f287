"""Which videos a user study shows, in what order and on which side: all of it from one seed, before any file."""

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from s2v.errors import InputError

REAL = "real"
SHIFTED = "real, sound shifted"
QUESTIONS = ("realism", "sync", "emotion")
LEAST_CHECKS = 4

Kind = Literal["choice", "check", "rating", "naming"]


@dataclass(frozen=True)
class Item:
    """One screen of the study."""

    kind: Kind
    question: str
    """One of QUESTIONS: what a choice is about; a check is about sync, a rating realism, a naming emotion."""
    clip: str
    systems: tuple[str, ...]
    """Whose video of the clip is shown: left and right, or the only one."""


def default_trials(systems: Sequence[str]) -> int:
    """Choices a question: every two of the systems and the real videos meet twice, and 6 at least."""
    return max(6, 2 * _pair_count(systems))


def plan_study(
    clips: Sequence[str], systems: Sequence[str], emotions: dict[str, str], trials: int, seed: int
) -> list[Item]:
    """Every item once, in the order of the first participant.

    For each question, every two of the systems and the real videos meet equally often (to one), each on either
    side equally often (to one), on clips used equally often as far as possible. `trials` ratings and namings
    are spread over systems in the same way, on the same clips for each. Checks show a real video, and itself with
    its sound shifted.

    Args:
        clips: names of which every system and the real folder have a video.
        systems: at least one name, neither REAL nor SHIFTED.
        emotions: clip -> emotion, for the clips that have one; namings are of these, and need two emotions.
        trials: choices a question, ratings, and namings.
        seed: the same seed gives the same plan.
    """
    for name in systems:
        if name in (REAL, SHIFTED) or not name.strip():
            raise InputError(f"a system can't be called {name!r}: that name is taken or empty")
    if not systems or not clips:
        raise InputError("a study needs at least one system and one clip")
    if trials < _pair_count(systems):
        raise InputError(
            f"{trials} choices a question can't compare {len(systems)} systems and the real videos: "
            f"expected --trials {_pair_count(systems)} or more"
        )
    drawing = random.Random(seed)
    shown = [*systems, REAL]
    pairs = list(itertools.combinations(shown, 2))
    used: Counter[str] = Counter()
    items: list[Item] = []
    for question in QUESTIONS:
        items += _spread("choice", question, pairs, clips, emotions, trials, used, drawing)
    items += _spread("rating", "realism", [(name,) for name in shown], clips, emotions, trials, used, drawing)
    named = [clip for clip in clips if clip in emotions]
    if len(set(emotions.values())) > 1 and named:
        items += _spread(
            "naming", "emotion", [(name,) for name in shown], named, emotions, trials, used, drawing
        )
    checks = max(LEAST_CHECKS, trials // 3)
    items += _spread("check", "sync", [(REAL, SHIFTED)], clips, emotions, checks, used, drawing)
    drawing.shuffle(items)
    return items


def _pair_count(systems: Sequence[str]) -> int:
    return len(systems) * (len(systems) + 1) // 2


def _spread(
    kind: Kind,
    question: str,
    groups: Sequence[tuple[str, ...]],
    clips: Sequence[str],
    emotions: dict[str, str],
    count: int,
    used: Counter[str],
    drawing: random.Random,
) -> list[Item]:
    """`count` items that take each group in turn, mirrored every other time.

    A clip is the one used least: by this group, then of its emotion, then in the whole study. Groups of one system
    go through the same clips, so that no system is graded on easier ones.
    """
    groups = drawing.sample(groups, len(groups))
    mirrored = {group: drawing.random() < 0.5 for group in groups}
    seen: Counter[tuple[tuple[str, ...], str]] = Counter()
    felt: Counter[str] = Counter()
    items: list[Item] = []
    for _, group in zip(range(count), itertools.cycle(groups), strict=False):
        if len(group) == 1 and group != groups[0]:
            clip = items[-1].clip
        else:
            clip = min(
                clips, key=lambda c: (seen[group, c], felt[emotions.get(c, "")], used[c], drawing.random())
            )
            felt[emotions.get(clip, "")] += 1
        seen[group, clip] += 1
        used[clip] += 1
        items.append(Item(kind, question, clip, group[::-1] if mirrored[group] else group))
        mirrored[group] = not mirrored[group]
    return items
