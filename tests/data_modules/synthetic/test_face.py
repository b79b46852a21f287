"""The pictures, judged by their pixels."""

import itertools

import numpy as np
import pytest

from data_modules.synthetic.emotion import EMOTIONS
from data_modules.synthetic.face import FacePainter
from data_modules.synthetic.pose import Light, Pose
from data_modules.synthetic.speaker import invent_speaker

SIZE = 96


def painter(index: int = 1, emotion: str = "NEU", size: int = SIZE) -> FacePainter:
    return FacePainter(invent_speaker(0, index).face, EMOTIONS[emotion], Light(), size)


def band(frame: np.ndarray, top: float, bottom: float) -> np.ndarray:
    rows, columns = slice(round(top * SIZE), round(bottom * SIZE)), slice(SIZE // 4, 3 * SIZE // 4)
    return frame[rows, columns].astype(float)


def mouth_area(frame: np.ndarray) -> int:
    """Dark pixels where the mouth is."""
    return int((band(frame, 0.70, 0.88).mean(axis=-1) < 60).sum())


@pytest.mark.parametrize("index", [0, 1, 2, 3])
def test_a_wider_opening_shows_more_of_the_mouths_inside(index: int) -> None:
    drawn = painter(index)
    shut = drawn.frame(Pose())
    changed = [
        int((np.abs(drawn.frame(Pose(opening=o)).astype(int) - shut).max(axis=-1) > 25).sum())
        for o in (0.0, 0.3, 0.6, 1.0)
    ]
    assert changed[0] == 0
    assert changed == sorted(changed) and changed[-1] > 0.015 * SIZE * SIZE
    assert mouth_area(drawn.frame(Pose(opening=1.0))) > mouth_area(shut) + 15  # the dark inside


def test_rounding_narrows_and_spreading_widens_the_mouth() -> None:
    drawn = painter(1)
    base = drawn.frame(Pose(opening=0.4)).astype(int)

    def reach(width: float) -> int:
        """Columns of the lips' red on the mouth's line."""
        rows = drawn.frame(Pose(opening=0.4, width=width))[round(0.75 * SIZE) : round(0.82 * SIZE)].astype(
            int
        )
        red = rows[..., 0] - rows[..., 1] > 75
        return int(red.any(axis=0).sum())

    assert base.shape == (SIZE, SIZE, 3)
    assert reach(-1.0) < reach(0.0) < reach(0.9)


def test_every_emotion_moves_brows_and_mouth() -> None:
    for index in (0, 1):
        frames = {name: painter(index, name).frame(Pose()) for name in EMOTIONS}
        for one, other in itertools.combinations(EMOTIONS, 2):
            brows = np.abs(band(frames[one], 0.28, 0.46) - band(frames[other], 0.28, 0.46)).mean()
            lips = np.abs(band(frames[one], 0.68, 0.86) - band(frames[other], 0.68, 0.86)).mean()
            assert brows > 4 and lips > 3, (one, other, brows, lips)


def test_anger_lowers_the_inner_brows_and_fear_raises_them() -> None:
    def brow_line(emotion: str) -> float:
        """Mean height of the darkest pixels between the eyes' middles and above them."""
        frame = painter(0, emotion).frame(Pose()).mean(axis=-1)
        part = frame[round(0.26 * SIZE) : round(0.42 * SIZE), round(0.40 * SIZE) : round(0.47 * SIZE)]
        dark = np.clip(0.7 * np.median(part) - part, 0, None)
        return float((dark.sum(axis=1) * np.arange(len(part))).sum() / dark.sum())

    assert brow_line("ANG") > brow_line("NEU") + 1 > brow_line("FEA") + 2


def test_speakers_look_different() -> None:
    frames = [painter(index).frame(Pose()).astype(float) for index in range(12)]
    for one, other in itertools.combinations(frames, 2):
        assert np.abs(one - other).mean() > 12


def test_blinks_hide_the_eyes_white() -> None:
    drawn = painter(1)

    def whites(blink: float) -> int:
        return int((band(drawn.frame(Pose(blink=blink)), 0.40, 0.50).min(axis=-1) > 215).sum())

    assert whites(0.0) > 4 and whites(1.0) == 0


def test_the_head_moves_where_the_pose_says() -> None:
    drawn = painter(0)
    still, moved = drawn.frame(Pose()).mean(axis=-1), drawn.frame(Pose(x=3 / SIZE)).mean(axis=-1)
    face = slice(35, 62), slice(30, 66)
    errors = [np.abs(np.roll(still, shift, axis=1)[face] - moved[face]).mean() for shift in range(6)]
    assert int(np.argmin(errors)) == 3
    assert np.abs(still[:, 0] - moved[:, 0]).max() < 3  # the wall stays


@pytest.mark.parametrize("times", [2, 7])
def test_a_larger_picture_is_the_same_picture(times: int) -> None:
    """From 668 pixels on the eyes' blur, of a window that is no square, is so wide that a quarter is enough."""
    small = painter(2, "HAP").frame(Pose(opening=0.5)).astype(float)
    large = painter(2, "HAP", times * SIZE).frame(Pose(opening=0.5)).astype(float)
    reduced = large.reshape(SIZE, times, SIZE, times, 3).mean(axis=(1, 3))
    assert np.abs(small - reduced).mean() < 6
