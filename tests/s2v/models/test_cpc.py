"""CPC against hand loops, its published layout, and streaming."""

import pytest
import torch

from s2v.errors import InputError
from s2v.models.cpc import CPC, ChannelNorm, strided_convolution
from s2v.speech_time import HEARD_AFTER, HEARD_BEFORE


def test_channel_norm_uses_the_unbiased_variance() -> None:
    norm = ChannelNorm(3)
    torch.nn.init.constant_(norm.weight, 2.0)
    torch.nn.init.constant_(norm.bias, 0.5)
    steps = torch.tensor([[[1.0, 4.0], [2.0, 4.0], [3.0, 7.0]]])
    # Step 0: mean 2, variance ((1 + 0 + 1) / 2) = 1; step 1: mean 5, variance ((1 + 1 + 4) / 2) = 3.
    expected = torch.tensor([[[-1.0, -1.0 / 3**0.5], [0.0, -1.0 / 3**0.5], [1.0, 2.0 / 3**0.5]]]) * 2 + 0.5
    torch.testing.assert_close(norm(steps.mT).mT, expected, atol=2e-5, rtol=0)


def test_channel_norm_matches_a_loop_over_steps() -> None:
    torch.manual_seed(0)
    norm = ChannelNorm(6).double()
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    steps = torch.randn(2, 6, 5, dtype=torch.float64)
    result = norm(steps.mT).mT
    for item in range(2):
        for step in range(5):
            column = steps[item, :, step].tolist()
            mean = sum(column) / 6
            variance = sum((value - mean) ** 2 for value in column) / 5
            for channel, value in enumerate(column):
                weight, bias = norm.weight[0, channel, 0].item(), norm.bias[0, channel, 0].item()
                expected = (value - mean) / (variance + 1e-5) ** 0.5 * weight + bias
                assert result[item, channel, step].item() == pytest.approx(expected, abs=1e-12)


def test_strided_convolution_is_the_convolution() -> None:
    torch.manual_seed(0)
    for kernel, stride, padding in ((10, 5, 3), (8, 4, 2), (4, 2, 1)):
        conv = torch.nn.Conv1d(3, 7, kernel, stride, padding).double()
        for length in (40, 43, 57):
            steps = torch.randn(2, length, 3, dtype=torch.float64)
            torch.testing.assert_close(strided_convolution(steps, conv), conv(steps.mT).mT)


def test_published_size_and_keys() -> None:
    with torch.device("meta"):
        cpc = CPC()
    shapes = {name: tuple(value.shape) for name, value in cpc.state_dict().items()}
    expected: dict[str, tuple[int, ...]] = {}
    for index, kernel in enumerate((10, 8, 4, 4, 4)):
        expected[f"gEncoder.conv{index}.weight"] = (256, 256 if index else 1, kernel)
        expected[f"gEncoder.conv{index}.bias"] = (256,)
        expected[f"gEncoder.batchNorm{index}.weight"] = (1, 256, 1)
        expected[f"gEncoder.batchNorm{index}.bias"] = (1, 256, 1)
    for kind in ("ih", "hh"):
        expected[f"gAR.baseNet.weight_{kind}_l0"] = (1024, 256)
        expected[f"gAR.baseNet.bias_{kind}_l0"] = (1024,)
    assert shapes == expected
    assert sum(value.numel() for value in cpc.parameters()) == 1_843_456


@pytest.mark.parametrize("rnn", ["lstm", "gru"])
def test_a_hundred_latents_a_second(rnn: str) -> None:
    latents, contexts = CPC(channels=8, hidden=12, rnn=rnn, layers=2)(torch.randn(2, 16_000))  # type: ignore[arg-type]
    assert latents.shape == (2, 100, 8)
    assert contexts.shape == (2, 100, 12)


def test_latent_hears_the_samples_it_says() -> None:
    speech = torch.randn(1, 3200, requires_grad=True)
    CPC(channels=8)(speech)[0][0, 10].sum().backward()
    assert speech.grad is not None
    heard = speech.grad[0].nonzero().flatten()
    assert (heard.min().item(), heard.max().item()) == (160 * 10 - HEARD_BEFORE, 160 * 10 + HEARD_AFTER)
    assert (HEARD_BEFORE, HEARD_AFTER) == (153, 311)


@pytest.mark.parametrize(("samples", "latents"), [(160, 1), (318, 1), (319, 2), (320, 2), (16_159, 101)])
def test_a_last_latent_lacks_one_sample_at_most(samples: int, latents: int) -> None:
    assert CPC(channels=8).encode(torch.randn(1, samples)).shape[1] == latents


@pytest.mark.parametrize("rnn", ["lstm", "gru"])
def test_contexts_in_pieces_equal_contexts_at_once(rnn: str) -> None:
    torch.manual_seed(0)
    cpc = CPC(channels=8, hidden=8, rnn=rnn)  # type: ignore[arg-type]
    latents = cpc.encode(torch.randn(2, 4800))
    at_once, _ = cpc.summarise(latents)
    first, state = cpc.summarise(latents[:, :13])
    second, _ = cpc.summarise(latents[:, 13:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), at_once)


def test_state_is_reset_between_calls() -> None:
    torch.manual_seed(0)
    cpc = CPC(channels=8)
    speech = torch.randn(1, 1600)
    first = cpc(speech)[1]
    cpc(torch.randn(1, 3200))
    torch.testing.assert_close(cpc(speech)[1], first, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("shape", "told"),
    [((1600,), r"got shape \(1600,\); one clip is speech\[None\]"), ((2, 159), r"\(2, 159\)$")],
)
def test_wrong_shape_is_an_input_error(shape: tuple[int, ...], told: str) -> None:
    with pytest.raises(InputError, match=f"CPC expects speech .*{told}"):
        CPC(channels=8)(torch.zeros(shape))


def test_bfloat16_autocast_keeps_the_recurrence_in_float32_on_a_cpu() -> None:
    cpc = CPC(channels=16, hidden=16).eval()
    speech = torch.randn(2, 3200, generator=torch.Generator().manual_seed(0)) * 0.1
    with torch.no_grad():
        exact = cpc(speech)[1]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            contexts = cpc(speech)[1]
    assert contexts.dtype == torch.float32
    torch.testing.assert_close(contexts, exact, atol=0.02, rtol=0)
