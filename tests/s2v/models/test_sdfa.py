"""SDFA's generator: the published layout, its hearing, and the half of each block that is computed once a clip."""

import numpy as np
import pytest
import torch
from scipy.signal import resample
from torch import Tensor
from torch.nn.functional import conv_transpose2d

from s2v.models.sdfa import SDFA
from s2v.models.sdfa_decoder import SDFADecoder, UNetBlock, per_frame
from s2v.models.sdfa_identity import PictureIdentity, VoiceIdentity, halvings
from s2v.models.sdfa_speech import frame_windows, resample_by_fft


def test_published_size() -> None:
    """55.28 M parameters, and shapes on which the layout depends."""
    network = SDFA([128, 96])
    assert sum(parameter.numel() for parameter in network.parameters()) == 55_276_292
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    assert shapes["encoder.encoder.cl.0.weight"] == (16, 1, 250)
    assert shapes["encoder.encoder.activations.4.0.running_var"] == (256,)
    assert shapes["encoder.rnn.weight_hh_l1"] == (768, 256)
    assert shapes["encoder_id.cl.5.0.weight"] == (128, 1024, 4, 3)
    assert shapes["generator.rnn_noise.weight_ih_l0"] == (30, 10)
    assert shapes["generator.dcl.0.0.weight"] == (394, 1024, 4, 3)
    assert shapes["generator.dcl.4.dcl1.weight"] == (256, 128, 3, 3)
    assert shapes["generator.dcl.5.weight"] == (64, 3, 4, 4)


@pytest.mark.parametrize("size", [[128, 96], [96, 128], [128, 128], [160, 160], [256, 192], [64, 64]])
def test_frames_of_any_size(size: list[int]) -> None:
    network = SDFA(size, width=0.05).eval()
    with torch.no_grad():
        frames = network(torch.randn(2, 3 * 640), torch.rand(2, 3, *size) * 2 - 1)
    assert frames.shape == (2, 3, 3, *size)
    assert frames.abs().max() <= 1


@pytest.mark.parametrize("size", [(100, 100), (4, 4), (128, 90)])
def test_sizes_that_can_not_be_halved(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="multiples of"):
        halvings(size)


@pytest.mark.parametrize(("length", "samples"), [(8, 25), (7, 22), (640, 2000), (641, 2003)])
def test_resampling_is_scipys(length: int, samples: int) -> None:
    signal = np.random.default_rng(0).standard_normal((2, length))
    found = resample_by_fft(torch.from_numpy(signal), samples).numpy()
    np.testing.assert_allclose(found, resample(signal, samples, axis=-1), atol=1e-12)


def test_a_frames_window_is_centred_on_the_frame() -> None:
    """A click at the centre of frame 3 is in the middle of its window, and 2000 samples off in its neighbours'."""
    speech = torch.zeros(1, 6 * 640)
    speech[0, 3 * 640 + 320] = 0.5
    windows = frame_windows(speech)
    assert windows.shape == (1, 6, 10_000)
    assert windows[0].abs().argmax(dim=-1)[1:6].tolist() == [9000, 7000, 5000, 3000, 1000]
    assert windows[0, 0, :4000].abs().max() == 0  # silence before the speech


def test_full_scale_is_32767_as_in_sdfas_preparation() -> None:
    windows = frame_windows(torch.full((1, 12 * 640), 0.5))
    assert windows[0, 6].mean().item() == pytest.approx(0.5 * 32768 / 32767, rel=1e-6)


def test_a_block_is_the_transposed_convolution_of_both_maps_side_by_side() -> None:
    block = UNetBlock(6).eval()
    frames, skip = torch.randn(4, 6, 5, 4), torch.randn(2, 6, 5, 4)
    joined = torch.cat([frames, skip.repeat_interleave(2, dim=0)], dim=1)
    expected = block.activation2(block.dcl2(block.activation1(block.dcl1(joined))))
    torch.testing.assert_close(block(frames, block.skip_part(skip)), expected)
    part = block.skip_part(skip)
    halves = conv_transpose2d(frames, block.dcl1.weight[:6], padding=1)
    torch.testing.assert_close(per_frame(halves, part), block.dcl1(joined))


@pytest.mark.parametrize(("place", "rows"), [(0, slice(0, 5)), (1, slice(5, 15)), (2, slice(15, 22))])
def test_the_seed_reads_speech_noise_and_identity_in_the_published_order(place: int, rows: slice) -> None:
    torch.manual_seed(0)
    decoder = SDFADecoder((32, 24), speech_dim=5, code_dim=7, width=0.125, skipped=False).eval()
    with torch.no_grad():
        decoder.get_parameter("dcl.0.0.weight")[rows] = 0
    speech, noise, code = torch.randn(2, 1, 1, 5), torch.randn(2, 1, 1, 10), torch.randn(2, 1, 7)

    def frame(*chosen: int) -> Tensor:
        parts = (speech[chosen[0]], noise[chosen[1]], [code[chosen[2]], *[None] * (len(decoder.dcl) - 2)])
        return decoder(*parts)

    for other in range(3):
        same = torch.equal(frame(0, 0, 0), frame(*[int(part == other) for part in range(3)]))
        assert same == (other == place)


def test_noise_has_the_published_size() -> None:
    noise = SDFA(32, width=0.125).draw_noise(4, 500, torch.Generator().manual_seed(0))
    assert noise.shape == (4, 500, 10) and noise.std().item() == pytest.approx(0.33, abs=0.01)


def test_noise_is_shaped_by_a_gru_and_tanh_and_goes_on_from_its_state() -> None:
    torch.manual_seed(0)
    decoder, noise = SDFADecoder((32, 24), width=0.125), 3 * torch.randn(2, 6, 10)
    shaped, _ = decoder.shape_noise(noise)
    torch.testing.assert_close(shaped, decoder.rnn_noise(noise)[0].tanh())
    first, state = decoder.shape_noise(noise[:, :4])
    torch.testing.assert_close(torch.cat([first, decoder.shape_noise(noise[:, 4:], state)[0]], dim=1), shaped)


def test_the_size_of_a_voices_vector_does_not_matter_in_training() -> None:
    torch.manual_seed(0)
    identity, vector = VoiceIdentity(12, code_dim=5), torch.randn(4, 12)
    torch.testing.assert_close(identity(20 * vector + 50).code, identity(vector).code, atol=1e-3, rtol=0)


def test_identity_from_a_picture_and_from_a_voice() -> None:
    found = PictureIdentity((32, 24), code_dim=5, width=0.125)(torch.randn(2, 3, 32, 24))
    assert found.code.shape == (2, 5)
    assert [tuple(skip.shape) for skip in found.skips] == [(2, 32, 4, 3), (2, 16, 8, 6), (2, 8, 16, 12)]
    heard = VoiceIdentity(12, code_dim=5)(torch.randn(4, 12))
    assert heard.code.shape == (4, 5) and heard.skips == []


def test_chosen_frames_are_those_of_the_whole_window() -> None:
    network = SDFA(32, width=0.125).eval()
    speech, who, noise = torch.randn(2, 8 * 640), torch.rand(2, 3, 32, 32), torch.randn(2, 8, 10)
    numbers = torch.tensor([[1, 2, 6], [0, 4, 7]])
    with torch.no_grad():
        whole, some = network(speech, who, noise=noise), network(speech, who, numbers, noise)
    expected = torch.stack([clip[chosen] for clip, chosen in zip(whole, numbers, strict=True)])
    torch.testing.assert_close(some, expected)


def test_it_learns_to_copy_the_face_and_to_follow_the_sound() -> None:
    torch.manual_seed(0)
    network = SDFA(32, width=0.25, speech_dim=32, code_dim=16)
    loud = torch.tensor([[0.0, 1, 0, 1], [1, 0, 1, 0]])
    speech = 0.3 * torch.randn(2, 4 * 640) * loud.repeat_interleave(640, dim=1)
    still = torch.stack([torch.full((3, 32, 32), -0.5), torch.full((3, 32, 32), 0.5)])
    real = still.unsqueeze(1).repeat(1, 4, 1, 1, 1)
    real[:, :, :, 20:28, 8:24] = (2 * loud - 1)[:, :, None, None, None]
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    losses = []
    for _ in range(60):
        loss = (network(speech, still) - real).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.25 * losses[0]
