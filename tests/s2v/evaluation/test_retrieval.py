"""Ranks and agreement in gender over a whole test."""

import pytest

from s2v.evaluation.clip_rows import GROUND_TRUTH, STILL, ClipRow, TestClip
from s2v.evaluation.retrieval import describe_genders, gender_note
from s2v.evaluation.summary import summarise
from tests.s2v.evaluation.square_corpus import corpus, mean, of_system, run
from tests.s2v.evaluation.talking_squares import COLOURS, loudness, square_clip, talking_square

OURS = "speech2video"


def test_unknown_speakers_take_no_part_in_retrieval() -> None:
    clips = corpus()
    clips[0].speaker = ""
    rows = of_system(run(clips, sync=None), OURS)
    assert "identity_rank1" not in rows[0].values and "identity_cosine" in rows[0].values
    assert all(row.values["identity_rank1"] == 1 for row in rows[1:])


GENDERS = {"ann": "female", "ben": "male", "cem": "male"}


def labelled(clips: list[TestClip], genders: dict[str, str]) -> list[TestClip]:
    for clip in clips:
        clip.gender = genders.get(clip.speaker, "")
    return clips


def test_gender_agrees_where_the_nearest_other_speaker_is_of_it() -> None:
    """Ann and dan look alike, as do cem and eli."""
    clips = [clip for clip in corpus() if clip.speaker != "ben"]
    clips += [square_clip("ann", "anger", 90), square_clip("cem", "anger", 91)]
    clips[-2].speaker, clips[-1].speaker = "dan", "eli"
    labelled(clips, {"ann": "female", "dan": "female", "cem": "male", "eli": "male"})
    for clip in clips:  # the system makes everyone look like cem
        clip.generated = talking_square("cem", "anger", loudness(len(clip.real), 7))
    rows = run(clips, emotion=None, sync=None)
    assert [row.gender for row in of_system(rows, OURS)] == ["female"] * 2 + ["male"] * 2 + ["female", "male"]
    assert mean(rows, GROUND_TRUTH, "gender_agreement") == mean(rows, STILL, "gender_agreement") == 1
    assert [row.values["gender_agreement"] for row in of_system(rows, OURS)] == [0, 0, 1, 1, 0, 1]
    assert summarise(rows)[OURS]["gender_agreement"].by_speaker == 0.5
    assert describe_genders(rows) == {
        "speakers": {"female": 2, "male": 2},
        "unlabelled": 0,
        "clips": 6,
        "chance": pytest.approx(1 / 3),
        "one_gender": 0.5,
    }


@pytest.mark.slow
def test_gender_is_measured_where_labels_exist() -> None:
    assert describe_genders(run(corpus(), emotion=None, sync=None)) is None
    # one woman: her clips are not asked
    every = run(labelled(corpus(), GENDERS), emotion=None, sync=None)
    found = describe_genders(every)
    assert found is not None and (found["clips"], found["chance"], found["one_gender"]) == (4, 0.5, 1.0)
    rows = of_system(every, OURS)
    assert [row.values.get("gender_agreement") is not None for row in rows] == [False, False] + [True] * 4
    assert all(row.scored for row in rows)
    rows = run(labelled(corpus(), {"ann": "female"}), emotion=None, sync=None)
    assert not any("gender_agreement" in row.values for row in rows)
    found = describe_genders(rows)
    assert found is not None and (found["unlabelled"], found["clips"], found["chance"]) == (2, 0, None)
    assert gender_note({"genders": found}) == (
        "gender labels: 1 female, 2 speakers without a label; too few of either to ask whose face is nearest"
    )


def test_the_commoner_gender_is_counted_by_clips() -> None:
    people = [("ann", "female")] * 3 + [("dan", "female"), ("cem", "male"), ("eli", "male")]
    rows = [
        ClipRow(str(number), speaker, GROUND_TRUTH, {"identity_cosine": 1.0}, gender=gender)
        for number, (speaker, gender) in enumerate(people)
    ]
    found = describe_genders(rows)
    assert found is not None and (found["clips"], found["one_gender"]) == (6, pytest.approx(4 / 6))


def test_what_failed_asks_no_gender_and_no_rank() -> None:
    clips = labelled(corpus(), GENDERS)
    clips[2].generated = None
    rows = run(clips, emotion=None, sync=None)
    assert summarise(rows)[OURS]["gender_agreement"].n == 3
    assert summarise(rows)[GROUND_TRUTH]["gender_agreement"].n == 4


def test_rank_5_needs_more_than_five_speakers() -> None:
    clips = [square_clip(list(COLOURS)[number % 3], "anger", number) for number in range(6)]
    for number, clip in enumerate(clips):
        clip.speaker = f"s{number}"  # three pairs of twins
    rows = run(clips, emotion=None, sync=None)
    assert mean(rows, OURS, "identity_rank5") == 1
    assert "identity_rank10" not in rows[0].values
    assert "identity_rank5" not in run(clips[:5], emotion=None, sync=None)[0].values
