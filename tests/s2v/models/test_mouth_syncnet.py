"""MouthSyncNet: windows, features against torchaudio, and what its embeddings do not depend on."""

import pytest
import torch
import torchaudio
from torch import Tensor

from s2v.errors import InputError
from s2v.metrics.mfcc import mfcc_frames
from s2v.models.mouth_syncnet import MouthSyncNet
from tests.s2v.models.batch_norms import draw_batch_norms


@pytest.fixture
def network() -> MouthSyncNet:
    torch.manual_seed(0)
    network = MouthSyncNet().eval()
    draw_batch_norms(network)
    return network


def speech(seconds: float) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(round(16_000 * seconds)) * 3000


def test_small(network: MouthSyncNet) -> None:
    # pictures 1,800 + 10,368 + 27,648 + 55,296 + 110,592 and norms, lips 81,920 + 8,256, speech 15,360 + 98,304 + 8,256
    assert sum(p.numel() for p in network.parameters()) == 419_544


@torch.no_grad()
def test_sliding_over_a_clip_equals_window_by_window(network: MouthSyncNet) -> None:
    lips, features = torch.rand(9, 3, 48, 48) * 255, torch.randn(38, 40)
    slid = network.embed_lip_track(lips)
    alone = torch.cat([network.embed_lip_track(lips[v : v + 5]) for v in range(5)])
    torch.testing.assert_close(slid, alone, rtol=1e-5, atol=1e-6)
    slid = network.embed_speech_track(features)
    alone = torch.cat([network.embed_speech_track(features[4 * v : 4 * v + 20]) for v in range(5)])
    assert slid.shape == (5, 64)
    torch.testing.assert_close(slid, alone, rtol=1e-5, atol=1e-6)
    assert network.unit_length
    torch.testing.assert_close(slid.norm(dim=-1), torch.ones(5))
    torch.testing.assert_close(network.embed_lip_track(lips).norm(dim=-1), torch.ones(5))


def test_features_are_log_mels_less_their_mean(network: MouthSyncNet) -> None:
    sound = speech(1.0)
    mel = torchaudio.transforms.MelSpectrogram(
        16_000, n_fft=400, hop_length=160, n_mels=40, center=False, mel_scale="slaney"
    )
    expected = torch.log(mel(sound) / 400 + 1.0).T
    features = network.speech_features(sound)
    torch.testing.assert_close(features, expected - expected.mean(dim=0), rtol=1e-4, atol=1e-4)
    assert len(features) == 98  # MFCC have one more, of which a part is padding
    assert mfcc_frames(16_000) == 99


def test_features_stay_in_float32_under_autocast(network: MouthSyncNet) -> None:
    sound = speech(1.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = network.speech_features(sound)
    torch.testing.assert_close(features, network.speech_features(sound), rtol=0, atol=0)


def test_loudness_does_not_matter(network: MouthSyncNet) -> None:
    sound = speech(0.5)
    torch.testing.assert_close(
        network.speech_features(sound), network.speech_features(sound * 4), rtol=0, atol=1e-3
    )


def test_sees_the_mouth_alone(network: MouthSyncNet) -> None:
    frames = torch.zeros(1, 3, 100, 100, dtype=torch.uint8)
    frames[:, :, 53:97, 28:72] = 90
    assert network.prepare_lips(frames).shape == (1, 3, 48, 48)
    assert (network.prepare_lips(frames) == 90).all()


@torch.no_grad()
def test_mid_grey_is_zero_to_the_network(network: MouthSyncNet) -> None:
    pictures = network.pictures(torch.zeros(5, 3, 48, 48))
    alone = network.lips(pictures.T.unsqueeze(0))[0, :, 0]
    grey = network.embed_lip_track(torch.full((5, 3, 48, 48), 127.5))
    torch.testing.assert_close(grey[0], alone / alone.norm())


def test_unknown_region_is_an_input_error() -> None:
    with pytest.raises(InputError, match="one of full, lower, mouth, but got 'nose'"):
        MouthSyncNet(region="nose")  # type: ignore[arg-type]
