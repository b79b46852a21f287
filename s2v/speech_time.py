"""Samples, CPC latents and video frames of one recording: which falls on which.

All are counted from 0 at the recording's beginning. CPC makes a context of every latent, with the same number.

    ==========================================  ==============================  ===============================
    what                                        in general                      at 16 kHz and 25 frames a second
    ==========================================  ==============================  ===============================
    latent i begins with sample                 160 i                           latent 10: 1600
    latent i is centred on                      (i + 1/2) / 100 s               latent 10: 0.105 s, sample 1680
    latent i hears samples                      160 i - 153 to 160 i + 311      latent 10: 1447 to 1911
    latents complete after n samples            (n - 152) // 160                1000 samples: 5, 0 to 4
    frame t is centred on                       (t + 1/2) / fps s               frame 3: 0.14 s
    frame t's centre, counted in latents        100 (t + 1/2) / fps - 1/2       4 t + 1.5; frame 3: 13.5
    C of frame t is read from latents           floor(that), floor(that) + 1    4 t + 1, 4 t + 2; frame 3: 13, 14
    n samples last, to the nearest, frames      n fps / 16000                   1000 samples: 2
    ==========================================  ==============================  ===============================

What follows for speech in pieces, since a piece's convolutions see padding in place of the samples around it:

- Cut at a latent's first sample, a piece has the stream's latents but for its first, which hears 153 samples before it,
  and its last, which hears 152 samples after it; the last but one leaves 8 of the piece's samples unheard.
- So a stream that goes on LATENTS_BEFORE before the first latent that it wants gets them all exactly.
"""

import math

from s2v.batch import SAMPLE_RATE

SAMPLES_PER_LATENT = 160
"""Speech samples from one latent to the next."""

LATENTS_PER_SECOND = SAMPLE_RATE // SAMPLES_PER_LATENT
"""100 latents a second, and as many contexts."""

HEARD_BEFORE = 153
"""Samples before its own first one that a latent hears."""

HEARD_AFTER = 311
"""The last sample that a latent hears, counted from its own first one."""

LATENTS_BEFORE = 1
"""Latents to go back, so that the next hears no padding: HEARD_BEFORE samples, in whole latents."""

EDGE_SAMPLES = 3 * SAMPLES_PER_LATENT
"""Samples at either end of a piece that are enough for its outermost latent, a whole number of latents.

The first latent hears HEARD_AFTER + 1 = 312 of them, the last HEARD_BEFORE and its own 160, which are 313: two latents
would do as well.
"""


def first_sample(latent: int) -> int:
    """The sample that a latent begins with; it hears others before it."""
    return latent * SAMPLES_PER_LATENT


def whole_latents(samples: int) -> int:
    """Latents that so many samples last."""
    return samples // SAMPLES_PER_LATENT


def complete_latents(samples: int) -> int:
    """Latents that hear none but the first `samples` samples: what comes later does not change them."""
    return max(0, (samples - 1 - HEARD_AFTER) // SAMPLES_PER_LATENT + 1)


def shared_latents(start: int, samples: int) -> range:
    """The stream's latents that a window, heard alone, has too: all of its own but the first and the last.

    Args:
        start: the window's first sample.
        samples: its length.

    Returns:
        Their numbers in the stream; none if the window does not begin and end where latents do.
    """
    if start % SAMPLES_PER_LATENT or samples % SAMPLES_PER_LATENT:
        return range(0)
    first = whole_latents(start)
    return range(first + 1, first + whole_latents(samples) - 1)


def count_frames(samples: int, fps: float) -> int:
    """Video frames that `samples` of 16 kHz speech last: to the nearest, one at least."""
    return max(1, math.floor(samples * fps / SAMPLE_RATE + 0.5))


def samples_of_frames(frames: int, fps: float) -> int:
    """Samples that so many frames last; the last one may be needed in part only."""
    return math.ceil(frames * SAMPLE_RATE / fps)


def frame_centre(frame: int, fps: float) -> float:
    """Seconds from the beginning to the middle of a frame."""
    return (frame + 0.5) / fps


def frame_position(frame: int, fps: float) -> float:
    """Where a frame's centre lies, counted in latents: 2.0 is the centre of latent 2."""
    return frame_centre(frame, fps) * LATENTS_PER_SECOND - 0.5


def latents_of_frame(frame: int, fps: float, reach: float = 0.0) -> range:
    """The latents that C of a frame is read from, by linear interpolation; the first frames' may begin below 0.

    Args:
        frame: its number.
        fps: frames a second.
        reach: latents between the frame's centre and the farthest reading, on either side.
    """
    position = frame_position(frame, fps)
    return range(math.floor(position - reach), math.floor(position + reach) + 2)
