"""The Speech2Face voice encoder: its spectrogram, its sizes, and that it can tell voices."""

import numpy as np
import pytest
import torch

from s2v.models.voice_encoder import VoiceEncoder, compressed_spectrogram, repeated_to


def test_six_seconds_give_598_by_257_by_2() -> None:
    assert compressed_spectrogram(torch.zeros(1, 96_000)).shape == (1, 2, 598, 257)


def test_a_frame_of_the_spectrogram_by_hand() -> None:
    speech = torch.randn(1, 400, dtype=torch.float64)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    spectrum = np.fft.rfft(speech[0].numpy() * window, 512)
    parts = np.stack([spectrum.real, spectrum.imag])
    expected = np.sign(parts) * np.abs(parts) ** 0.3
    np.testing.assert_allclose(compressed_spectrogram(speech)[0, :, 0].numpy(), expected, atol=1e-6)


def test_short_speech_is_repeated_and_long_speech_cut() -> None:
    speech = torch.tensor([[1.0, 2, 3]])
    assert repeated_to(speech, 7).tolist() == [[1, 2, 3, 1, 2, 3, 1]]
    assert repeated_to(speech, 2).tolist() == [[1, 2]]


@pytest.mark.parametrize("seconds", [1.5, 6.0])
def test_shapes(seconds: float) -> None:
    encoder = VoiceEncoder(out_dim=12, width=1 / 16, hidden=8, seconds=seconds)
    assert encoder(torch.randn(2, 20_000)).shape == (2, 12)


def test_the_average_over_time_is_rectified_before_its_norm() -> None:
    """Speech2Face's conv - average pooling - ReLU - BN: features below 0 are 0 there."""
    encoder = VoiceEncoder(out_dim=12, width=1 / 16, hidden=8, seconds=1.5).eval()
    seen: list[torch.Tensor] = []
    norm = next(layer for layer in encoder.modules() if isinstance(layer, torch.nn.BatchNorm1d))
    norm.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    encoder(torch.randn(2, 20_000))
    assert seen[0].min() == 0 and 0 < (seen[0] == 0).float().mean() < 1


def test_too_short_a_stretch_is_refused() -> None:
    with pytest.raises(ValueError, match=r"1\.5 s"):
        VoiceEncoder(seconds=1.0)


@pytest.mark.slow
def test_it_learns_who_speaks() -> None:
    torch.manual_seed(0)
    time = torch.arange(24_000) / 16_000
    voices = torch.stack([torch.sin(2 * torch.pi * pitch * time) for pitch in (120, 180, 260, 400)])
    target = torch.randn(4, 6)
    encoder = VoiceEncoder(out_dim=6, width=1 / 16, hidden=64, seconds=1.5)
    optimizer = torch.optim.Adam(encoder.parameters(), lr=3e-3)
    for _ in range(60):
        loss = (encoder(voices + 0.01 * torch.randn_like(voices)) - target).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    heard = encoder(voices + 0.01 * torch.randn_like(voices))
    assert torch.cdist(heard, target).argmin(dim=1).tolist() == [0, 1, 2, 3]
