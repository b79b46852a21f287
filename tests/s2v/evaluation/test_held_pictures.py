"""Which picture is held against which clip, on flat pictures whose colour says where they come from."""

import pickle

import torch
from torch import Tensor

from s2v.evaluation.clip_rows import ANOTHER_CLIP, ANOTHER_SPEAKER, MEAN_IMAGE
from s2v.evaluation.held_pictures import HeldPictures


def flat(*levels: int, side: int = 4) -> Tensor:
    """(T, 3, side, side), a level a frame."""
    return torch.tensor(levels, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, side, side).clone()


CLIPS = {
    ("a1", "ann"): flat(10, 20),
    ("b1", "ben"): flat(100),
    ("a2", "ann"): flat(30, 40, 50),
    ("a3", "ann"): flat(61, 61),
    ("c1", "cem"): flat(200, side=5),
}


def gathered() -> HeldPictures:
    held = HeldPictures()
    for (clip, speaker), frames in CLIPS.items():
        held.add(clip, speaker, frames)
    return held


def levels_against(clip: str, speaker: str) -> dict[str, int | str]:
    found = gathered().against(clip, speaker, CLIPS[clip, speaker])
    sent = gathered().for_speaker(speaker).against(clip, speaker, CLIPS[clip, speaker])  # to another process
    shown: dict[str, int | str] = {}
    for name, what in found.items():
        if isinstance(what, str):
            shown[name] = what
            assert sent[name] == what
            continue
        assert isinstance(other := sent[name], Tensor) and torch.equal(other, what)
        assert what.shape == (1, *CLIPS[clip, speaker].shape[1:]) and what.dtype == torch.uint8
        (shown[name],) = what.unique().tolist()
    return shown


def test_whose_picture_is_held() -> None:
    # means of the three: 15, 40, 61
    assert levels_against("a1", "ann") == {ANOTHER_CLIP: 30, MEAN_IMAGE: 50, ANOTHER_SPEAKER: 100}
    assert levels_against("a2", "ann") == {ANOTHER_CLIP: 10, MEAN_IMAGE: 38, ANOTHER_SPEAKER: 100}
    assert levels_against("a3", "ann") == {ANOTHER_CLIP: 10, MEAN_IMAGE: 28, ANOTHER_SPEAKER: 100}


def test_two_clips_of_one_speaker_are_held_against_each_other_and_against_nobody_else() -> None:
    held = HeldPictures()
    held.add("a1", "ann", flat(10, 20))
    held.add("a2", "ann", flat(30))
    found = held.against("a2", "ann", flat(30))
    mean = found[MEAN_IMAGE]
    assert isinstance(mean, Tensor) and mean.unique().tolist() == [15]
    assert found[ANOTHER_SPEAKER] == "no other speaker"
    held.add("b1", "ben", flat(40))
    assert held.against("x", "", flat(1))[ANOTHER_SPEAKER] == "the clip's speaker is not known"


def test_what_can_not_be_held_is_said() -> None:
    alone = "no other clip of this speaker"
    assert levels_against("b1", "ben") == {
        ANOTHER_CLIP: alone,
        MEAN_IMAGE: alone,
        ANOTHER_SPEAKER: "5 x 5, but this clip is 4 x 4",
    }
    assert (
        levels_against("c1", "cem")[ANOTHER_SPEAKER] == "4 x 4, but this clip is 5 x 5"
    )  # the last: the first's
    held = gathered()
    held.add("a4", "ann", flat(7, side=5))
    assert held.against("a4", "ann", flat(7, side=5))[MEAN_IMAGE] == "the speaker's clips differ in size"
    assert set(HeldPictures().against("x", "", flat(1)).values()) == {
        alone,
        "the clip's speaker is not known",
    }


def test_six_bytes_a_value_and_speaker_are_kept_and_seven_sent_along() -> None:
    """At 512 x 512 it was 10 and 20: 2.2 GiB for 300 speakers, and 15 MiB for every pair of videos."""
    torch.manual_seed(0)
    clips = torch.randint(0, 256, (40, 3, 3, 64, 64), dtype=torch.uint8)
    held = HeldPictures()
    for number, frames in enumerate(clips):
        held.add(str(number), "ab"[number % 2], frames)
    values = clips[0, 0].numel()
    assert len(pickle.dumps(held)) < 2 * 6.2 * values
    assert len(pickle.dumps(held.for_speaker("b"))) < 7.2 * values
    mean = held.against("1", "b", clips[1])[MEAN_IMAGE]
    assert isinstance(mean, Tensor)
    exact = clips[3::2].double().mean(dim=(0, 1))
    assert (mean[0].double() - exact).abs().max() < 0.501


def test_clips_without_a_speaker_are_passed_over() -> None:
    held = gathered()
    held.add("x", "", flat(255))
    assert held.against("a1", "ann", CLIPS["a1", "ann"]).keys() == {ANOTHER_CLIP, MEAN_IMAGE, ANOTHER_SPEAKER}
    assert len(held._speakers) == 3
