"""MFCC against python_speech_features."""

import numpy as np
import pytest
import torch

from s2v.metrics.mfcc import mfcc, mfcc_frames

python_speech_features = pytest.importorskip("python_speech_features")


def int16_speech(samples: int, seed: int = 0) -> np.ndarray:
    """A gliding, breathing tone with noise, with digital silence in its middle third."""
    generator = np.random.default_rng(seed)
    time = np.arange(samples) / 16_000
    tone = 6000 * np.sin(2 * np.pi * (150 * time + 40 * np.sin(3 * time))) * (1 + np.sin(9 * time))
    speech = tone + 300 * generator.standard_normal(samples)
    speech[samples // 3 : 2 * samples // 3] = 0
    return speech.astype(np.int16)


@pytest.mark.parametrize("samples", [1, 399, 400, 401, 560, 561, 16_000, 20_480])
def test_equals_python_speech_features(samples: int) -> None:
    speech = int16_speech(samples)
    expected = python_speech_features.mfcc(speech, 16_000)
    exact = mfcc(torch.from_numpy(speech).double())
    assert exact.shape == (mfcc_frames(samples), 13) == expected.shape
    np.testing.assert_allclose(exact.numpy(), expected, rtol=0, atol=1e-9)
    single = mfcc(torch.from_numpy(speech))
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single.numpy(), expected, rtol=0, atol=1e-3)


def test_silence_is_finite() -> None:
    silence = np.zeros(1600, dtype=np.int16)
    expected = python_speech_features.mfcc(silence, 16_000)
    np.testing.assert_allclose(mfcc(torch.from_numpy(silence)).numpy(), expected, rtol=0, atol=1e-3)


def test_batched_equals_one_by_one() -> None:
    clips = torch.stack([torch.from_numpy(int16_speech(4000, seed)) for seed in range(3)]).double()
    batched = mfcc(clips)
    assert batched.shape == (3, mfcc_frames(4000), 13)
    torch.testing.assert_close(batched, torch.stack([mfcc(clip) for clip in clips]), rtol=0, atol=1e-9)


def test_works_inside_training_after_inference_mode() -> None:
    with torch.inference_mode():
        mfcc(torch.randn(800))
    speech = torch.randn(800, requires_grad=True)
    mfcc(speech).sum().backward()
    assert speech.grad is not None and torch.isfinite(speech.grad).all()


def test_mixed_precision_changes_nothing() -> None:
    speech = torch.from_numpy(int16_speech(4_000))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = mfcc(speech)
    assert torch.equal(mixed, mfcc(speech))
