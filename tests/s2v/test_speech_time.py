"""Worked out by hand; that the numbers are the network's, tests/s2v/models/test_cpc.py shows."""

import pytest

from s2v.speech_time import (
    EDGE_SAMPLES,
    HEARD_AFTER,
    HEARD_BEFORE,
    LATENTS_BEFORE,
    LATENTS_PER_SECOND,
    SAMPLES_PER_LATENT,
    complete_latents,
    count_frames,
    first_sample,
    frame_centre,
    frame_position,
    latents_of_frame,
    samples_of_frames,
    shared_latents,
    whole_latents,
)


def test_a_hundred_latents_a_second() -> None:
    assert LATENTS_PER_SECOND == 100
    assert (first_sample(0), first_sample(10)) == (0, 1_600)
    assert [whole_latents(samples) for samples in (0, 159, 160, 1_000)] == [0, 0, 1, 6]


@pytest.mark.parametrize(
    ("samples", "latents"), [(0, 0), (1, 0), (311, 0), (312, 1), (471, 1), (472, 2), (1_000, 5), (1_912, 11)]
)
def test_a_latent_is_complete_with_the_last_sample_it_hears(samples: int, latents: int) -> None:
    """Latent 0 hears samples up to 311, latent 1 up to 471, latent 10 up to 1911."""
    assert complete_latents(samples) == latents


def test_latents_before_and_edges_hold_all_that_is_heard() -> None:
    assert first_sample(LATENTS_BEFORE) >= HEARD_BEFORE > first_sample(LATENTS_BEFORE - 1)
    assert max(HEARD_AFTER + 1, HEARD_BEFORE + SAMPLES_PER_LATENT) <= EDGE_SAMPLES
    assert EDGE_SAMPLES % SAMPLES_PER_LATENT == 0  # or the last latents would lie elsewhere


@pytest.mark.parametrize(
    ("start", "samples", "expected"),
    [
        (0, 1_600, range(1, 9)),
        (1_600, 1_600, range(11, 19)),  # of 10 to 19
        (7_680, 7_680, range(49, 95)),  # of 48 to 95
        (160, 320, range(2, 2)),  # two latents, both at an edge
        (1_601, 1_600, range(0)),
        (1_600, 1_601, range(0)),
    ],
)
def test_a_window_shares_all_but_its_outermost_latents(start: int, samples: int, expected: range) -> None:
    shared = shared_latents(start, samples)
    assert shared == expected
    for latent in shared:  # none of them hears beyond the window
        assert first_sample(latent) - HEARD_BEFORE >= start
        assert first_sample(latent) + HEARD_AFTER < start + samples


@pytest.mark.parametrize(
    ("samples", "fps", "frames"),
    [
        (16_000, 25, 25),
        (16_208, 25, 25),
        (319, 25, 1),
        (1, 25, 1),
        (1_000, 25, 2),
        (960, 25, 2),
        (959, 25, 1),
        (16_000, 29.97, 30),
        (57_600_000, 25, 90_000),
    ],
)
def test_frames_are_duration_times_rate_to_the_nearest(samples: int, fps: float, frames: int) -> None:
    assert count_frames(samples, fps) == frames


def test_frames_last_whole_samples() -> None:
    assert samples_of_frames(3, 25) == 1_920
    assert samples_of_frames(1, 30) == 534  # 533.3


def test_a_frames_centre() -> None:
    assert frame_centre(3, 25) == pytest.approx(0.14)
    assert frame_position(0, 25) == pytest.approx(1.5)  # 0.02 s, the border of latents 1 and 2
    assert frame_position(3, 25) == pytest.approx(13.5)
    assert frame_position(0, 50) == pytest.approx(0.5)


def test_latents_that_a_frame_is_read_from() -> None:
    assert latents_of_frame(0, 25) == range(1, 3)
    assert latents_of_frame(3, 25) == range(13, 15)
    assert latents_of_frame(1, 30) == range(4, 6)  # 0.05 s: between the centres of latents 4 and 5
    assert latents_of_frame(0, 100) == range(2)
    # The mean of four readings, at 12.0, 13.0, 14.0 and 15.0: the last is latent 15, with a weight of 0 for 16.
    assert latents_of_frame(3, 25, reach=1.5) == range(12, 17)
    assert latents_of_frame(0, 25, reach=3.5) == range(-2, 7)
