import math

import pytest
import torch
from torch import nn

from s2v.errors import InputError
from s2v.models.cpc_prediction import FuturePrediction, standardise


def test_standardised_features_have_zero_mean_and_unit_variance() -> None:
    norm = nn.BatchNorm1d(32, affine=False, track_running_stats=False)
    flat = standardise(torch.randn(4, 50, 32) * 7 + 3, norm).flatten(0, 1)
    torch.testing.assert_close(flat.mean(dim=0), torch.zeros(32), atol=1e-5, rtol=0)
    torch.testing.assert_close(flat.var(dim=0, correction=0), torch.ones(32), atol=1e-4, rtol=0)


def test_each_predictor_is_scored_on_its_own_step_ahead() -> None:
    """Contexts that hold the latent two steps ahead: only the second predictor, told to read them, is right."""
    torch.manual_seed(0)
    latents = torch.randn(3, 60, 16)
    contexts = latents.roll(-2, dims=1)
    prediction = FuturePrediction(16, 16, steps_ahead=3)
    for predictor in prediction.predictors:
        nn.init.eye_(predictor.weight)  # type: ignore[union-attr]
    accuracies = []
    for ahead in range(3):
        alone = FuturePrediction(16, 16, steps_ahead=ahead + 1, negatives=4)
        alone.predictors = nn.ModuleList([nn.Linear(16, 16, bias=False) for _ in range(ahead)])
        alone.predictors.append(prediction.predictors[ahead])
        for predictor in alone.predictors[:-1]:
            nn.init.zeros_(predictor.weight)  # type: ignore[union-attr]
        accuracies.append(alone(latents, contexts)[1].item() * (ahead + 1))
    assert accuracies[1] > 0.9 and accuracies[0] < 0.4 and accuracies[2] < 0.4  # 0.2 is chance


def test_the_latent_to_be_predicted_is_no_negative() -> None:
    """Contexts that hold the next latent, read as they are: in one clip of two seconds 128 draws from 200 latents
    include nearly half of the true ones, and the predictions of these could not be right."""
    torch.manual_seed(0)
    latents = torch.randn(1, 200, 64)
    prediction = FuturePrediction(64, 64, steps_ahead=1, negatives=128)
    nn.init.eye_(prediction.predictors[0].weight)  # type: ignore[arg-type]
    loss, accuracy = prediction(latents, latents.roll(-1, dims=1))
    assert accuracy == 1 and loss < 0.05


def test_what_all_latents_share_and_their_size_do_not_matter() -> None:
    """With one large direction in all of them the loss would stay at chance for thousands of steps."""
    prediction = FuturePrediction(16, 8, steps_ahead=2, negatives=32)
    latents, contexts = torch.randn(2, 40, 16), torch.randn(2, 40, 8)
    losses = []
    for some in ((latents, contexts), (5 * latents + 30, contexts), (latents, 5 * contexts + 30)):
        torch.manual_seed(0)
        losses.append(prediction(*some)[0].item())
    assert losses == pytest.approx([losses[0]] * 3, abs=1e-3)


def test_starts_near_chance() -> None:
    torch.manual_seed(0)
    loss, accuracy = FuturePrediction(16, 8, negatives=64)(torch.randn(4, 80, 16), torch.randn(4, 80, 8))
    assert abs(loss.item() - math.log(65)) < 0.4 * math.log(65) + 2 and accuracy < 0.1


def test_windows_must_be_longer_than_what_is_predicted() -> None:
    """Nothing to predict gave a loss of nan."""
    prediction = FuturePrediction(16, 8, steps_ahead=12)
    assert prediction(torch.randn(2, 13, 16), torch.randn(2, 13, 8))[0].isfinite()
    with pytest.raises(
        InputError, match=r"predicts 12 steps of 10 ms ahead, but heard only 12: serve longer"
    ):
        prediction(torch.randn(2, 12, 16), torch.randn(2, 12, 8))


@pytest.mark.parametrize(("steps_ahead", "negatives"), [(0, 8), (2, 0)])
def test_something_is_predicted_and_told_from_something(steps_ahead: int, negatives: int) -> None:
    with pytest.raises(InputError, match=f"at least 1, got {steps_ahead} and {negatives}"):
        FuturePrediction(16, 8, steps_ahead, negatives)
