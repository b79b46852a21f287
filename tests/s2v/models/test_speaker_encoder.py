from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from s2v.errors import InputError
from s2v.models.speaker_encoder import SpeakerEncoder
from s2v.weights import load_speaker_encoder
from tests.s2v.generation.networks import speech_like


@pytest.fixture(scope="module")
def encoder() -> SpeakerEncoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = SpeakerEncoder(hidden=24, out_dim=20, layers=2).eval()
        for name, parameter in network.named_parameters():
            parameter.data *= 3 if "weight" in name else 1  # an untrained LSTM hardly moves
        return network.requires_grad_(False)


def slaney_bands(bins: int = 201, bands: int = 40) -> np.ndarray:
    """Slaney's (1998) mel bands as written down: linear to 1 kHz, then logarithmic; each of area one: (bins, bands)."""
    top = 15 + 27 * np.log(8_000 / 1_000) / np.log(6.4)  # 1 kHz is 15 mels, 6.4 kHz 42
    mels = np.linspace(0, top, bands + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1_000 * 6.4 ** ((np.maximum(mels, 15) - 15) / 27))
    frequencies = np.linspace(0, 8_000, bins)
    filters = [
        np.interp(frequencies, edges[band : band + 3], [0, 1, 0]) * 2 / (edges[band + 2] - edges[band])
        for band in range(bands)
    ]
    return np.stack(filters, axis=1)


def test_mel_energies_are_those_of_the_definition(encoder: SpeakerEncoder) -> None:
    speech = speech_like(0.25).double()
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    padded = np.pad(speech.numpy(), 200, mode="reflect")
    frames = np.stack([padded[start : start + 400] * window for start in range(0, 4_001, 160)])
    expected = np.abs(np.fft.rfft(frames)) ** 2 @ slaney_bands()
    mels = encoder.mels(speech.float().unsqueeze(0))[0]
    assert mels.shape == (26, 40)
    np.testing.assert_allclose(mels.numpy(), expected, rtol=2e-3, atol=1e-6)


def test_a_vector_is_the_last_state_projected(encoder: SpeakerEncoder) -> None:
    """1.6 s are one partial utterance of 160 mel frames; the 161st is not heard."""
    speech = speech_like(1.6).unsqueeze(0)
    outputs, _ = encoder.lstm(encoder.mels(speech)[:, :160])
    projected = encoder.linear(outputs[:, -1]).clamp_min(0)
    torch.testing.assert_close(encoder(speech), projected / projected.norm(), atol=1e-5, rtol=0)


def test_longer_speech_is_the_mean_of_overlapping_partials(encoder: SpeakerEncoder) -> None:
    speech = speech_like(3.2).unsqueeze(0)
    mels = encoder.mels(speech)
    parts = [encoder._of_partial(mels[:, start : start + 160]) for start in (0, 80, 160)]
    mean = torch.stack(parts).mean(dim=0)
    torch.testing.assert_close(encoder(speech), mean / mean.norm(), atol=1e-5, rtol=0)
    assert (parts[0] - parts[2]).norm() > 1e-3


def test_quiet_speech_is_raised_and_loud_speech_left(encoder: SpeakerEncoder) -> None:
    speech = speech_like(1.6).unsqueeze(0)
    at_30_dbfs = speech * 10 ** (-30 / 20) / speech.square().mean().sqrt()
    torch.testing.assert_close(encoder(at_30_dbfs * 0.01), encoder(at_30_dbfs), atol=1e-5, rtol=0)
    assert (encoder(at_30_dbfs * 3) - encoder(at_30_dbfs)).norm() > 1e-3


@pytest.mark.parametrize(
    ("seconds", "starts"),
    [
        (0.5, [0]),
        (1.6, [0]),  # 161 mel frames: the last is centred on the end of speech that fits exactly
        (2.39, [0, 80]),
        (2.4, [0, 80]),
        (3.3, [0, 80, 160, 171]),
    ],
)
def test_the_end_is_heard_too(seconds: float, starts: list[int], encoder: SpeakerEncoder) -> None:
    speech = speech_like(seconds).unsqueeze(0)
    mels = encoder.mels(speech)
    parts = [encoder._of_partial(mels[:, start : start + 160]) for start in starts]
    assert torch.equal(encoder(speech), nn.functional.normalize(torch.stack(parts).mean(dim=0), dim=-1))


@pytest.mark.parametrize("samples", [1, 399, 25_600])
def test_short_and_silent_speech_give_finite_vectors(encoder: SpeakerEncoder, samples: int) -> None:
    assert encoder(torch.zeros(2, samples)).isfinite().all()
    assert encoder(speech_like(1.6)[:samples].unsqueeze(0)).norm().item() == pytest.approx(1, abs=1e-5)


def published(encoder: nn.Module) -> dict[str, Tensor]:
    """As Resemblyzer keeps it, with its loss' two numbers."""
    one = torch.tensor([10.0])
    return {**encoder.state_dict(), "similarity_weight": one, "similarity_bias": -one}


def test_published_layout(encoder: SpeakerEncoder, tmp_path: Path) -> None:
    torch.save({"step": 1, "model_state": published(encoder)}, tmp_path / "pretrained.pt")
    loaded = load_speaker_encoder(tmp_path / "pretrained.pt")
    speech = speech_like(2).unsqueeze(0)
    assert torch.equal(loaded(speech), encoder(speech))
    assert len(loaded.weights_sha256) == 64  # type: ignore[arg-type]


def test_another_file_is_one_line(encoder: SpeakerEncoder, tmp_path: Path) -> None:
    file = tmp_path / "other.pt"
    torch.save({"state_dict": {}}, file)
    with pytest.raises(
        InputError, match="is no speaker encoder: expected 'model_state' in it, but its keys are"
    ):
        load_speaker_encoder(file)
    state = published(encoder)
    del state["linear.bias"]
    torch.save({"model_state": state}, file)
    with pytest.raises(InputError, match=r"does not fit SpeakerEncoder: missing linear\.bias"):
        load_speaker_encoder(file)
    torch.save({"linear.weight": torch.zeros(8, 16)}, file)
    with pytest.raises(InputError, match=r"missing lstm\.weight_hh_l0; its keys are linear\.weight"):
        load_speaker_encoder(file)
