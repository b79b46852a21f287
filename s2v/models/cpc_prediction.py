"""What CPC is trained by: predictions of the latents to come, and their InfoNCE loss."""

import torch
from torch import Tensor, nn

from s2v.errors import InputError
from s2v.losses.contrastive import info_nce


class FuturePrediction(nn.Module):
    """Predict the latents of the next steps from the context, each step ahead by a linear map of its own.

    Negatives come from all clips of the batch: telling them apart takes the speaker's voice as well as the sounds.
    Where the latent that is predicted is among them, which in a single clip of two seconds is every second time, it is
    left out: it would be right and wrong at once.

    Args:
        channels: size of a latent.
        hidden: size of a context.
        steps_ahead: how many 10 ms steps are predicted.
        negatives: latents drawn from the batch a step.

    Raises:
        InputError: one of the two is below 1.
    """

    def __init__(self, channels: int, hidden: int, steps_ahead: int = 12, negatives: int = 128) -> None:
        super().__init__()
        if min(steps_ahead, negatives) < 1:
            raise InputError(
                f"CPC's steps_ahead and negatives must be at least 1, got {steps_ahead} and {negatives}"
            )
        self.negatives = negatives
        # Only the scoring sees standardised features: at the start all latents share one large direction, and
        # without this the loss stays at chance for thousands of steps. The encoder itself is the published one.
        self.target_norm = nn.BatchNorm1d(channels, affine=False, track_running_stats=False)
        self.context_norm = nn.BatchNorm1d(hidden, affine=False, track_running_stats=False)
        self.predictors = nn.ModuleList(nn.Linear(hidden, channels, bias=False) for _ in range(steps_ahead))

    def forward(self, latents: Tensor, contexts: Tensor) -> tuple[Tensor, Tensor]:
        """Mean InfoNCE loss over the steps ahead, and the mean accuracy.

        Args:
            latents: (B, L, channels).
            contexts: (B, L, hidden).

        Raises:
            InputError: L is no more than the steps ahead.
        """
        steps = len(self.predictors)
        if latents.shape[1] <= steps:
            raise InputError(
                f"CPC predicts {steps} steps of 10 ms ahead, but heard only {latents.shape[1]}: serve longer windows "
                "(data.init_args.window_frames) or lower steps_ahead"
            )
        latents = standardise(latents, self.target_norm)
        contexts = standardise(contexts, self.context_norm)
        flat = latents.flatten(0, 1)
        places = torch.arange(len(flat), device=flat.device).view(latents.shape[:2])
        losses, accuracies = [], []
        for ahead, predictor in enumerate(self.predictors, start=1):
            predicted = predictor(contexts[:, :-ahead]).flatten(0, 1)
            drawn = torch.randint(len(flat), (self.negatives,), device=flat.device)
            own = places[:, ahead:].reshape(-1, 1) == drawn
            loss, accuracy = info_nce(predicted, latents[:, ahead:].flatten(0, 1), flat[drawn], own=own)
            losses.append(loss)
            accuracies.append(accuracy)
        return torch.stack(losses).mean(), torch.stack(accuracies).mean()


def standardise(features: Tensor, norm: nn.BatchNorm1d) -> Tensor:
    """Zero mean and unit variance of each feature over clips and steps: (B, L, D) -> (B, L, D)."""
    return norm(features.flatten(0, 1)).unflatten(0, features.shape[:2])
