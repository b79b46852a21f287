"""Windows: where they lie, what they hold, that they depend on (seed, epoch, index) alone."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from data_modules.clip_cache import write_clip
from data_modules.speech_augmentation import SpeechAugmentation
from data_modules.windows import Clip, WholeClipDataset, WindowDataset, collate_windows

FRAMES = 60


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    """Frame k of clip c is filled with k on its left half and c on its right; sample n is n // 640."""
    folder = tmp_path_factory.mktemp("clips")
    result = []
    for number in range(4):
        frames = np.empty((FRAMES, 3, 4, 4), np.uint8)
        frames[..., :2] = np.arange(FRAMES)[:, None, None, None]
        frames[..., 2:] = 100 + number
        speech = np.repeat(np.arange(FRAMES), 640).astype(np.int16)
        path = folder / f"{number}.safetensors"
        write_clip(path, frames, speech, {"fps": "25", "clip_id": str(number)})
        result.append(Clip(str(number), path, FRAMES, 25, speaker=number, emotion=number - 1))
    return result


def test_frames_speech_and_times_agree(clips: list[Clip]) -> None:
    dataset = WindowDataset(clips, window_frames=40, num_frames=16, seed=3, windows_per_clip=5)
    assert len(dataset) == 20
    starts, firsts = set(), set()
    for index in range(len(dataset)):
        window = dataset[7, index]
        shown = window["frames"][:, 0, 0, 0].tolist()
        assert shown == list(range(shown[0], shown[0] + 16))
        assert window["frames"][0, 0, 0, 3] == 100 + index // 5
        assert window["speech"].shape == (25600,)
        heard = window["speech"] * 32768
        assert heard[0] == window["start"]
        # at the centre of each frame, the sample says which frame is shown
        at = (window["frame_times"] * 16000).long()
        assert heard[at].tolist() == shown
        assert window["still"][0, 0, 0] == 0
        assert (window["speaker"], window["emotion"], window["clip_id"]) == (
            index // 5,
            index // 5 - 1,
            str(index // 5),
        )
        starts.add(window["start"])
        firsts.add(shown[0] - window["start"])
    assert len(starts) > 5 and len(firsts) > 5
    assert starts <= set(range(21))
    assert firsts <= set(range(25))


def test_windows_and_pictures_reach_both_ends(clips: list[Clip]) -> None:
    dataset = WindowDataset(clips, window_frames=FRAMES - 1, num_frames=FRAMES - 2, windows_per_clip=10)
    served = [dataset[0, index] for index in range(len(dataset))]
    assert {window["start"] for window in served} == {0, 1}
    assert {round(float(window["frame_times"][0]) * 25 - 0.5) for window in served} == {0, 1}


def test_a_clips_edges_may_be_shown_as_often_as_its_middle(clips: list[Clip]) -> None:
    """16 frames of 60 begin in 45 places: 1,800 windows in each 40 times, give or take five standard deviations."""
    dataset = WindowDataset(
        clips[:1], window_frames=40, num_frames=16, windows_per_clip=1800, even_frames=True
    )
    served = [dataset[0, index] for index in range(len(dataset))]
    begun = Counter(int(window["frames"][0, 0, 0, 0]) for window in served)
    assert set(begun) == set(range(45))
    # those that begin with frame 20 lie in windows that begin with any of 0 to 20, and as many frames before it
    assert len({window["start"] for window in served if int(window["frames"][0, 0, 0, 0]) == 20}) > 10
    assert all(abs(times - 40) < 5 * 40**0.5 for times in begun.values())


def test_a_window_is_a_function_of_seed_epoch_and_index(clips: list[Clip]) -> None:
    def starts(seed: int, epoch: int) -> list[int]:
        dataset = WindowDataset(clips, 40, 16, seed=seed, windows_per_clip=4)
        return [dataset[epoch, index]["start"] for index in reversed(range(16))]

    assert starts(0, 0) == starts(0, 0)
    assert starts(0, 0) != starts(0, 1) != starts(1, 1)


def test_validation_windows_are_the_middle(clips: list[Clip]) -> None:
    dataset = WindowDataset(clips, 40, 16, random=False)
    window = dataset[2]
    assert window["start"] == 10
    assert window["frames"][:, 0, 0, 0].tolist() == list(range(22, 38))
    assert window["frame_times"][0] == pytest.approx(12.5 / 25)


def test_all_frames_of_the_window(clips: list[Clip]) -> None:
    window = WindowDataset(clips, 60, 60)[0, 0]
    assert window["frames"].shape == (60, 3, 4, 4)
    assert window["frame_times"][[0, -1]].tolist() == pytest.approx([0.02, 2.38])


def test_flip_mirrors_pictures_and_still_alike(clips: list[Clip]) -> None:
    dataset = WindowDataset(clips, 40, 16, seed=0, windows_per_clip=20, flip=True)
    mirrored = []
    for index in range(80):
        window = dataset[0, index]
        side = -1 if window["frames"][0, 0, 0, 0] >= 100 else 0
        assert window["still"][0, 0, side] == 0
        mirrored.append(side == -1)
    assert 25 < sum(mirrored) < 55


def test_whole_clip(clips: list[Clip]) -> None:
    window = WholeClipDataset(clips)[1]
    assert window["frames"].shape == (60, 3, 4, 4)
    assert window["speech"].shape == (60 * 640,)
    assert window["start"] == 0
    assert window["frame_times"][-1] == pytest.approx(2.38)


def test_collate_keeps_types(clips: list[Clip]) -> None:
    dataset = WindowDataset(clips, 40, 16)
    batch = collate_windows([dataset[0, 0], dataset[0, 3]])
    assert (batch["frames"].shape, batch["frames"].dtype) == ((2, 16, 3, 4, 4), torch.uint8)
    assert (batch["still"].shape, batch["still"].dtype) == ((2, 3, 4, 4), torch.uint8)
    assert (batch["speech"].shape, batch["speech"].dtype) == ((2, 25600), torch.float32)
    assert (batch["frame_times"].shape, batch["frame_times"].dtype) == ((2, 16), torch.float32)
    assert (batch["speaker"].tolist(), batch["emotion"].tolist()) == ([0, 3], [-1, 2])
    assert (batch["speaker"].dtype, batch["start"].dtype) == (torch.int64, torch.int64)
    assert batch["clip_id"] == ["0", "3"]


def test_pictures_may_lie_apart(clips: list[Clip]) -> None:
    window = WindowDataset(clips, 40, 4, frame_step=9)[2, 1]
    shown = window["frames"][:, 0, 0, 0].tolist()
    assert np.diff(shown).tolist() == [9, 9, 9]
    heard = window["speech"] * 32768
    assert heard[(window["frame_times"] * 16000).long()].tolist() == shown


def test_as_many_windows_of_each_speaker_however_many_clips_they_have(clips: list[Clip]) -> None:
    """Speaker 0 has one clip, speaker 1 three, which take turns."""
    uneven = [replace(clip, speaker=min(number, 1)) for number, clip in enumerate(clips)]
    dataset = WindowDataset(uneven, 40, 16, windows_per_speaker=2)
    assert len(dataset) == 4
    served = [[dataset[epoch, index]["clip_id"] for index in range(4)] for epoch in range(3)]
    assert served == [["0", "0", "1", "2"], ["0", "0", "3", "1"], ["0", "0", "2", "3"]]


@pytest.mark.parametrize(("exponent", "windows"), [(0.0, [2, 2]), (0.5, [2, 3]), (1.0, [2, 6])])
def test_speakers_with_more_clips_give_more_windows_by_a_power(
    clips: list[Clip], exponent: float, windows: list[int]
) -> None:
    """One clip and three: 2 * 3 ** 0.5 = 3.46 windows are three, and all clips have their turn."""
    uneven = [replace(clip, speaker=min(number, 1)) for number, clip in enumerate(clips)]
    dataset = WindowDataset(uneven, 40, 16, windows_per_speaker=2, speaker_exponent=exponent)
    served = [dataset[epoch, index] for epoch in range(3) for index in range(len(dataset))]
    assert [sum(window["speaker"] == speaker for window in served) for speaker in (0, 1)] == [
        3 * count for count in windows
    ]
    turns = [sum(window["clip_id"] == name for window in served) for name in "123"]
    assert turns == [windows[1]] * 3


def test_clips_without_a_speaker_take_no_turns(clips: list[Clip]) -> None:
    """Two clips of nobody known, two of speaker 0: three people, and those of nobody are served in each epoch."""
    loose = [replace(clip, speaker=0 if number % 2 else -1) for number, clip in enumerate(clips)]
    dataset = WindowDataset(loose, 40, 16, windows_per_speaker=1)
    served = [[dataset[epoch, index]["clip_id"] for index in range(len(dataset))] for epoch in range(2)]
    assert served == [["0", "1", "2"], ["0", "3", "2"]]


def test_augmentation_changes_training_speech_alone(clips: list[Clip]) -> None:
    plain = WindowDataset(clips, 40, 16, seed=3)[2, 1]
    loud = SpeechAugmentation(gain_db=6, equaliser_db=0, noise_snr_db=None)
    changed = WindowDataset(clips, 40, 16, seed=3, augmentation=loud)[2, 1]
    assert torch.equal(plain["frames"], changed["frames"]) and plain["start"] == changed["start"]
    gains = changed["speech"][640:] / plain["speech"][640:]
    assert gains.max() - gains.min() < 1e-3 and abs(gains.mean() - 1) > 0.01
    middle = WindowDataset(clips, 40, 16, seed=3, augmentation=loud, random=False)[0, 1]
    assert torch.equal(middle["speech"], WindowDataset(clips, 40, 16, random=False)[0, 1]["speech"])
