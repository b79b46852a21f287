import itertools
import math
import re
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from s2v.errors import InputError
from s2v.generation.pixels import to_pixels
from s2v.generation.streaming import StreamingGenerator, generate_clip
from s2v.models.cpc import CPC
from s2v.models.frame_decoder import Speech2VideoGenerator
from s2v.models.speech_representation import SpeechRepresentation
from s2v.speech.context_stream import context_stream
from s2v.speech.frame_contexts import FrameContextStream
from s2v.speech.portrait import Identity, Portrait, cut_windows, hear_portrait
from s2v.speech.speech_blocks import in_blocks
from s2v.speech_time import count_frames
from tests.s2v.generation.networks import small_networks, speech_like
from tests.s2v.models.looks_ahead import BothWays

Networks = tuple[SpeechRepresentation, Speech2VideoGenerator]
WINDOW = 12  # frames
SAMPLES = WINDOW * 640


@pytest.fixture(scope="module", params=["omega", "speaker encoder with pose codes", "looking ahead"])
def networks(request: pytest.FixtureRequest) -> Networks:
    """Who speaks is read from CPC, from a speaker encoder's vector, or from an encoder that looks ahead."""
    if request.param == "looking ahead":
        return small_networks(encoder=BothWays())
    more = request.param != "omega"
    return small_networks(speaker_encoder=more, pose_dim=3 if more else 0)


def one_pass(networks: Networks, speech: Tensor, frames: int) -> Tensor:
    """The method as written down, without streaming, for whole frames of speech: (T, 3, H, W) float."""
    representation, generator = networks
    seconds = frames / 25
    length = frames * 640
    starts = [*range(0, length - SAMPLES + 1, SAMPLES)] or [0]
    if length > SAMPLES and length % SAMPLES:
        starts.append(length - SAMPLES)
    with torch.no_grad():
        windows = [speech[None, start : start + SAMPLES] for start in starts]
        heard = [
            representation.students(
                representation.cpc.omega(representation.contexts(window)), representation.voice(window)
            )
            for window in windows
        ]
        centres = [(s + min(SAMPLES, length) / 2) / 16_000 for s in starts]
        times = [(t + 0.5) / 25 for t in range(frames)]
        assert times[-1] < seconds
        mu = torch.stack([interpolate(time, centres, [m for _, m in heard]) for time in times], dim=1)
        nu = torch.stack([n for n, _ in heard]).mean(dim=0)
        contexts = representation.at_times(representation.contexts(speech[None]), torch.tensor([times]))
        nu, pose = generator.recalled(nu)
        return generator.decode(contexts, generator.identity_parts(nu), mu, pose)[0]


def interpolate(time: float, knots: list[float], values: list[Tensor]) -> Tensor:
    if time <= knots[0]:
        return values[0]
    for (a, x), (b, y) in itertools.pairwise(zip(knots, values, strict=True)):
        if a <= time <= b:
            return x + (y - x) * (time - a) / (b - a)
    return values[-1]


def test_pixels_round_and_clamp_and_invert_normalisation() -> None:
    values = torch.tensor([-1.0, 1.0, 0.0, -3.0, 1.5, 2 * 100.4 / 255 - 1])
    assert to_pixels(values).tolist() == [0, 255, 128, 0, 255, 100]
    every = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_pixels(every.float() / 127.5 - 1), every)


def test_in_blocks_keeps_every_sample_in_order() -> None:
    speech = torch.arange(1_003.0)
    for sizes in ([1_003], [1] * 1_003, [5, 700, 298]):
        blocks = list(in_blocks(speech.split(sizes), 100))
        assert [len(block) for block in blocks] == [100] * 10 + [3]
        assert torch.equal(torch.cat(blocks), speech)


@pytest.mark.parametrize("rnn", ["lstm", "gru"])
@pytest.mark.parametrize("block", [163, 640, 7_001, 50_000])
def test_streamed_contexts_equal_one_pass(rnn: str, block: int) -> None:
    representation, _ = small_networks(rnn=rnn)
    speech = speech_like(2.003)
    stream = context_stream(representation.cpc)
    with torch.no_grad():
        streamed = torch.cat([*(stream.push(b) for b in speech.split(block)), stream.finish()], dim=1)
        expected = representation.contexts(speech[None])
    assert streamed.shape == expected.shape
    torch.testing.assert_close(streamed, expected, atol=1e-5, rtol=0)
    assert expected.std(dim=1).mean() > 0.01  # there is something to compare


@torch.no_grad()
def test_latents_are_those_of_the_last_push() -> None:
    """After n samples (n - 152) // 160 latents are complete: 46 of 7660 and of 7670, 47 of 7680."""
    representation, _ = small_networks()
    speech = speech_like(0.48)
    stream = context_stream(representation.cpc)
    for block, completed in zip(speech.split([7_660, 10, 10]), (46, 0, 1), strict=True):
        stream.push(block)
        assert stream.latents.shape == (1, completed, 16)


def test_paper_size_latents_equal_one_pass() -> None:
    torch.manual_seed(0)
    cpc, speech = CPC().eval(), speech_like(1.5)
    stream = context_stream(cpc)
    with torch.no_grad():
        streamed = torch.cat([*(stream.push(b) for b in speech.split(4_000)), stream.finish()], dim=1)
        torch.testing.assert_close(streamed, cpc(speech[None])[1], atol=1e-5, rtol=0)


@pytest.mark.parametrize("steps", [1, 2, 12, 200])
@pytest.mark.parametrize(
    "seconds", [1.6, 1.595]
)  # the latter ends 80 samples before its last frame of 25 a second
@pytest.mark.parametrize("fps", [25, 30, 24_000 / 1_001, 12, 100, 120])
def test_contexts_are_read_around_each_frames_centre(fps: float, seconds: float, steps: int) -> None:
    representation, _ = small_networks()
    representation.context_steps = steps
    speech = speech_like(seconds)
    frames = count_frames(len(speech), fps)
    with torch.no_grad():
        pieces = FrameContextStream(representation, fps).rest(speech.split(1_000), block_samples=3_200)
        streamed = torch.cat(list(pieces), dim=1)
        silence = torch.zeros(max(0, math.ceil(frames * 16_000 / fps) - len(speech)))
        padded = torch.cat([speech, silence])
        centres = torch.tensor([[(t + 0.5) / fps for t in range(frames)]])
        expected = representation.at_times(representation.contexts(padded[None]), centres)
    assert streamed.shape == (1, frames, 16)
    torch.testing.assert_close(streamed, expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    ("frames", "chunk"), [(40, 7), (36, 32), (12, 5), (13, 32), (5, 1), (1, 7), (25, 1), (150, 32), (150, 7)]
)
@pytest.mark.parametrize("steps", [1, 12])
def test_stream_equals_one_pass(frames: int, chunk: int, steps: int) -> None:
    networks = small_networks()
    networks[0].context_steps = steps
    speech = speech_like(frames / 25)
    stream = StreamingGenerator(*networks, WINDOW, chunk_frames=chunk)
    portions = list(stream.decoded(speech.split(3_333)))
    assert all(len(portion) <= chunk for portion in portions)
    assert len(portions[0]) == min(frames, chunk, 4)  # soon there
    expected = one_pass(networks, speech, frames)
    torch.testing.assert_close(torch.cat(portions), expected, atol=1e-4, rtol=0)
    pixels = torch.cat(list(stream.frames(speech.split(3_333))))
    assert pixels.dtype == torch.uint8 and pixels.shape == (frames, 3, 32, 32)
    assert (pixels.int() - to_pixels(expected).int()).abs().max() <= 1
    if frames == 150:
        assert expected.std(dim=0).mean() > 0.005  # the frames differ: there is something to compare


class Source(list[Tensor]):
    """Blocks that count how often they are read."""

    readings = 0

    def __iter__(self) -> Iterator[Tensor]:
        self.readings += 1
        return super().__iter__()


@pytest.mark.parametrize("kept_frames", [0, 20])
def test_what_is_not_kept_is_read_again_as_far_as_asked_for(kept_frames: int) -> None:
    networks = small_networks()
    speech = speech_like(60 / 25)
    source = Source(speech.split(3_333))
    context_bytes = 16 * 4
    stream = StreamingGenerator(*networks, WINDOW, chunk_frames=7, kept_bytes=kept_frames * context_bytes)
    made = torch.cat(list(stream.decoded(source, num_frames=45)))
    torch.testing.assert_close(made, one_pass(networks, speech[: 45 * 640], 45), atol=1e-4, rtol=0)
    assert source.readings == 3  # the first time only to see whether it is an iterator


def test_as_many_frames_are_decoded_on_a_cpu_as_make_no_tensor_of_more_than_16_mib() -> None:
    representation, small = small_networks()
    assert StreamingGenerator(representation, small, WINDOW).chunk_frames == 32
    large = Speech2VideoGenerator(16, 24, 8, 128, width=0.5, feature_width=0.05)
    channels = large.frame_decoder.stages[-1].from_frame.out_channels  # type: ignore[union-attr]
    stream = StreamingGenerator(representation, large, WINDOW)
    assert stream.chunk_frames == 16 * 2**20 // (channels * 128 * 128 * 4) < 32  # type: ignore[operator]


@pytest.mark.parametrize("seconds", [0.00007, 0.0199, 0.0201, 1.013, 1.5, 0.99, 2.019])
@pytest.mark.parametrize("identity", ["mean", "first"])
def test_no_frame_is_lost_at_any_duration(networks: Networks, seconds: float, identity: str) -> None:
    speech = speech_like(seconds)
    stream = StreamingGenerator(*networks, WINDOW, identity=identity)  # type: ignore[arg-type]
    assert sum(map(len, stream.frames(speech.split(500)))) == max(1, round(len(speech) / 640))


@pytest.mark.parametrize("num_frames", [1, 10, 30, 60])
@pytest.mark.parametrize("identity", ["mean", "first"])
def test_asked_for_frames(networks: Networks, num_frames: int, identity: str) -> None:
    """Longer speech is cut and shorter followed by silence."""
    speech = speech_like(30 / 25)
    fitted = torch.cat([speech, torch.zeros(60 * 640)])[: num_frames * 640]
    stream = StreamingGenerator(*networks, WINDOW, identity=identity, chunk_frames=8)  # type: ignore[arg-type]
    made = torch.cat(list(stream.decoded(speech.split(999), num_frames)))
    torch.testing.assert_close(made, torch.cat(list(stream.decoded([fitted]))), atol=1e-4, rtol=0)


def test_identity_is_the_mean_over_windows(networks: Networks) -> None:
    representation, _ = networks
    speech = speech_like(3 * WINDOW / 25)
    portrait = hear_portrait(representation, speech.split(1_000), SAMPLES, 25)
    assert portrait.times == pytest.approx([0.24, 0.72, 1.2])
    with torch.no_grad():
        windows = speech.view(3, SAMPLES)
        nu, mu = representation.students(
            representation.cpc.omega(representation.contexts(windows)), representation.voice(windows)
        )
    torch.testing.assert_close(portrait.nu, nu.mean(dim=0, keepdim=True), atol=1e-5, rtol=0)
    torch.testing.assert_close(portrait.mu, mu, atol=1e-5, rtol=0)
    assert not torch.allclose(nu[0], nu[1], atol=1e-3)


def test_windows_of_the_last_stretch() -> None:
    """100 samples a window, frames of 10: 235 samples are 24 frames, so the last window is 140 to 240."""
    speech = torch.arange(1.0, 236.0)
    windows = list(cut_windows(speech.split(17), 100, fps=1_600))
    assert [window.start for window in windows] == [0, 100, 140]
    assert [window.centre * 16_000 for window in windows] == pytest.approx([50, 150, 190])
    assert windows[0].speech.tolist() == list(range(1, 101))
    assert windows[2].speech.tolist() == [*range(141, 236), 0, 0, 0, 0, 0]
    exact = list(cut_windows([torch.arange(200.0)], 100, fps=1_600))
    assert [len(window.speech) for window in exact] == [100, 100]
    short = list(cut_windows([torch.arange(42.0)], 100, fps=1_600))
    assert [(window.start, window.centre * 16_000, len(window.speech)) for window in short] == [(0, 20, 40)]


def test_emotion_moves_linearly_between_windows() -> None:
    portrait = Portrait(torch.zeros(1, 2), [1.0, 2.0, 4.0], torch.tensor([[0.0], [10.0], [30.0]]))
    asked = [0.0, 1.0, 1.5, 2.0, 3.0, 4.0, 9.0]
    assert portrait.emotion_at(asked).flatten().tolist() == pytest.approx([0, 0, 5, 10, 20, 30, 30])
    assert portrait.emotion_at(asked).shape == (1, 7, 1)


def test_live_reads_once_and_never_looks_ahead(networks: Networks) -> None:
    """The frames of a beginning do not depend on what is said later, but for the 0.3 s that the windows of an encoder
    that looks ahead go on, and the source is read a single time."""
    ahead = 9 if isinstance(networks[0].cpc, BothWays) else 1
    speech = speech_like(6 * WINDOW / 25)
    other = torch.cat([speech[: 3 * SAMPLES], speech_like(3 * WINDOW / 25, seed=5)])
    stream = StreamingGenerator(*networks, WINDOW, identity="first", chunk_frames=4)
    first = torch.cat(list(stream.decoded(iter(speech.split(640)))))
    second = torch.cat(list(stream.decoded(iter(other.split(640)))))
    assert len(first) == len(second) == 6 * WINDOW
    torch.testing.assert_close(first[: 3 * WINDOW - ahead], second[: 3 * WINDOW - ahead], atol=1e-5, rtol=0)
    assert (first[3 * WINDOW :] - second[3 * WINDOW :]).abs().max() > 0.01


def test_live_identity_is_the_first_windows_and_emotion_arrives_a_window_late(networks: Networks) -> None:
    """Window k's emotion is reached where window k + 1 ends; what is no whole window at the end has none of its own."""
    representation, generator = networks
    frames = 5 * WINDOW + 6
    speech = speech_like(frames / 25)
    times = [(t + 0.5) / 25 for t in range(frames)]
    with torch.no_grad():
        windows = speech[: 5 * SAMPLES].view(5, SAMPLES)
        nu, mu = representation.students(
            representation.cpc.omega(representation.contexts(windows)), representation.voice(windows)
        )
        reached = [(k + 2) * WINDOW / 25 for k in range(5)]
        felt = torch.stack([interpolate(time, reached, list(mu)) for time in times])
        contexts = representation.at_times(representation.contexts(speech[None]), torch.tensor([times]))
        expected = generator(contexts, nu[:1], felt[None])[0][0]
    stream = StreamingGenerator(*networks, WINDOW, identity="first", chunk_frames=7)
    for blocks in ([speech], speech.split(640)):
        made = torch.cat(list(stream.decoded(blocks)))
        torch.testing.assert_close(made, expected, atol=1e-4, rtol=0)


def test_live_speech_without_an_end_is_read_as_far_as_frames_are_asked_for(networks: Networks) -> None:
    def microphone() -> Iterator[Tensor]:
        for number in itertools.count():
            assert number < 30
            yield speech_like(1 / 25, seed=number)

    stream = StreamingGenerator(*networks, WINDOW, identity="first")
    assert sum(map(len, stream.frames(microphone(), num_frames=30))) == 30


def test_live_frames_come_while_the_speech_goes_on(networks: Networks) -> None:
    taken = 0

    def microphone():  # type: ignore[no-untyped-def]
        nonlocal taken
        for block in speech_like(6 * WINDOW / 25).split(640):
            taken += 1
            yield block

    stream = StreamingGenerator(*networks, WINDOW, identity="first", chunk_frames=2)
    portions = stream.decoded(microphone())
    next(portions)
    assert taken <= WINDOW + 2
    seen = 0
    for portion in portions:
        seen += len(portion)
    assert taken == 6 * WINDOW


def test_generate_clip_is_the_stream_and_keeps_modes() -> None:
    representation, generator = small_networks()
    generator.train()
    representation.requires_grad_(False)
    generator.identity_branch.eval()
    modes = [module.training for module in generator.modules()]
    speech = speech_like(30 / 25)
    made = generate_clip(representation, generator, speech, 30, WINDOW)
    assert modes == [module.training for module in generator.modules()]
    assert made.shape == (30, 3, 32, 32) and made.dtype == torch.uint8
    stream = StreamingGenerator(representation, generator, WINDOW, chunk_frames=5)
    streamed = torch.cat(list(stream.frames(speech.split(640))))
    assert (made.int() - streamed.int()).abs().max() <= 1
    assert not made.requires_grad
    with torch.autocast("cpu", torch.bfloat16):  # as a trainer in mixed precision calls it
        assert torch.equal(generate_clip(representation, generator, speech, 30, WINDOW), made)


@pytest.mark.parametrize("num_frames", [None, 30])
@pytest.mark.parametrize("identity", ["mean", "first"])
def test_frames_refuse_samples_of_a_wav_file(identity: Identity, num_frames: int | None) -> None:
    stream = StreamingGenerator(*small_networks(), WINDOW, identity=identity)
    samples = (speech_like(30 / 25) * 32767).to(torch.int16)
    with pytest.raises(InputError, match=r"floats in \[-1, 1\], got int16"):
        next(iter(stream.frames([samples], num_frames)))


def test_generate_clip_refuses_samples_of_a_wav_file_and_batches() -> None:
    representation, generator = small_networks()
    speech = speech_like(30 / 25)
    samples = (speech * 32767).to(torch.int16)
    with pytest.raises(
        InputError, match=r"floats in \[-1, 1\], got int16 \(19200,\): .*divide int16 samples by"
    ):
        generate_clip(representation, generator, samples, 30, WINDOW)
    with pytest.raises(
        InputError, match=r"expected speech \(N,\) .* got float32 \(1, 19200\): give one clip"
    ):
        generate_clip(representation, generator, speech[None], 30, WINDOW)
    loudest = re.escape(f"{float(speech.abs().max()) * 32767:.4g}")
    with pytest.raises(InputError, match=rf"got samples of {loudest}: divide what was int16 by 32768"):
        generate_clip(representation, generator, speech * 32767, 30, WINDOW)
    with pytest.raises(InputError, match="got samples that are no finite numbers"):
        generate_clip(representation, generator, torch.where(speech > 0.1, torch.nan, speech), 30, WINDOW)
    with pytest.raises(InputError, match=r"as a torch tensor, got numpy\.ndarray: torch\.from_numpy"):
        generate_clip(representation, generator, speech.numpy(), 30, WINDOW)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="num_frames must be at least 1, got 0"):
        generate_clip(representation, generator, speech, 0, WINDOW)


@pytest.mark.parametrize("identity", ["mean", "first"])
def test_no_speech_is_an_error(networks: Networks, identity: str) -> None:
    stream = StreamingGenerator(*networks, WINDOW, identity=identity)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no sample"):
        list(stream.frames([]))


def test_an_iterator_can_not_be_read_twice(networks: Networks) -> None:
    with pytest.raises(InputError, match="read twice"):
        next(StreamingGenerator(*networks, WINDOW).frames(iter([speech_like(1.0)])))


def test_gradients_stay_on_for_the_consumer(networks: Networks) -> None:
    """A suspended stream must not leave gradients switched off."""
    stream = iter(StreamingGenerator(*networks, WINDOW, chunk_frames=4).frames([speech_like(2.0)]))
    next(stream)
    assert torch.is_grad_enabled()
