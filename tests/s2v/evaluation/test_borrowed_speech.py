"""Who borrows whose speech: in a sorted list the neighbour says the same words."""

import pytest
import torch

from s2v.evaluation.borrowed_speech import MOST_WAITING, NOBODY, TOO_MANY, BorrowedSpeech


def lenders(sentences: list[str]) -> list[int | str]:
    """For each clip, the number of the one whose speech it gets, or why it gets none."""
    circle: BorrowedSpeech[int] = BorrowedSpeech()
    found: dict[int, torch.Tensor | str] = {}
    for number, sentence in enumerate(sentences):
        borrowed = circle.take(sentence, torch.tensor(number), number)
        if borrowed is not None:
            found[number] = borrowed
    found |= dict(circle.finish())
    assert list(circle.finish()) == []
    return [one if isinstance(one, str) else int(one) for _, one in sorted(found.items())]


@pytest.mark.parametrize(
    ("sentences", "expected"),
    [
        (["", "", ""], [2, 0, 1]),
        (["a", "b", "c"], [2, 0, 1]),
        (["a", "a", "b", "b", "b", "a", "a"], [4, 4, 1, 1, 1, 4, 4]),
        (["a", "b", "b", "a"], [2, 0, 0, 2]),
        (["a", "", "a", "a"], [1, 0, 1, 1]),
        (["", "a", "a"], [2, 0, 0]),
        ([""], [NOBODY]),
        (["a"], [NOBODY]),
        (["a", "a"], [NOBODY, NOBODY]),
        ([], []),
    ],
)
def test_the_newest_of_another_sentence_lends(sentences: list[str], expected: list[int | str]) -> None:
    assert lenders(sentences) == expected


def test_sorted_crema_d_names_never_borrow_their_own_sentence() -> None:
    sentences = [what for _ in range(3) for what in ("DFA", "IEO", "TIE") for _ in range(6)]
    borrowed = lenders(sentences)
    assert all(isinstance(lender, int) for lender in borrowed)
    assert all(sentences[lender] != own for lender, own in zip(borrowed, sentences, strict=True))  # type: ignore[call-overload]


def test_few_clips_wait() -> None:
    """A list sorted by sentence would wait, pictures and all, for its first half."""
    borrowed = lenders(["a"] * (MOST_WAITING + 2) + ["b"])
    last = MOST_WAITING + 2
    assert borrowed == [last] * MOST_WAITING + [TOO_MANY] * 2 + [last - 1]
