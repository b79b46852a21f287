"""CPC pretraining: contrastive predictive coding of speech (van den Oord et al. 2018)."""

import math
from typing import Any

import torch
from torch import Tensor

from s2v.batch import TalkingFaceBatch
from s2v.models.cpc import CPC
from s2v.models.cpc_prediction import FuturePrediction
from s2v.modules.hyperparameters import PlainHyperparameters
from s2v.modules.number_check import check_not_negative
from s2v.modules.one_cycle import with_one_cycle
from s2v.modules.shared_validation import SharedValidation
from s2v.speech.own_encoder import check_hears_in_blocks


class CPCPretraining(PlainHyperparameters, SharedValidation):
    """Train CPC by InfoNCE: see `FuturePrediction`.

    Args:
        cpc: the encoder that is trained.
        steps_ahead: how many 10 ms steps are predicted, each by a linear map of its own.
        negatives: latents drawn from the batch a step.
        lr: peak learning rate of Adam.
    """

    true_precisions = ("32-true", "64-true", "bf16-true")  # no pictures; in float16 Adam's squares are zero

    def __init__(self, cpc: CPC, steps_ahead: int = 12, negatives: int = 128, lr: float = 2e-4) -> None:
        super().__init__()
        self.save_hyperparameters()
        check_not_negative({"lr": lr})
        self.cpc = cpc
        self.lr = lr
        self.prediction = FuturePrediction(cpc.channels, cpc.hidden, steps_ahead, negatives)
        self.train()  # Lightning leaves a module in the modes it comes in; loaded weights come in eval mode

    def forward(self, speech: Tensor) -> tuple[Tensor, Tensor]:
        """Speech (B, N) in [-1, 1] at 16 kHz -> InfoNCE loss and accuracy, means over the steps ahead."""
        return self.prediction(*self.cpc(speech))

    def _step(self, batch: TalkingFaceBatch, stage: str) -> Tensor:
        loss, accuracy = self(batch["speech"])
        size = batch["speech"].shape[0]
        self.log(f"{stage}/info_nce", loss, prog_bar=True, batch_size=size)
        self.log(f"{stage}/accuracy", accuracy, prog_bar=True, batch_size=size)
        return loss

    def on_fit_start(self) -> None:
        """Refuse an encoder that clips could not be made from, before it is trained."""
        check_hears_in_blocks(self.cpc)

    def training_step(self, batch: TalkingFaceBatch, batch_idx: int) -> Tensor:
        """One step on a batch of speech windows."""
        return self._step(batch, "train")

    def validation_step(self, batch: TalkingFaceBatch, batch_idx: int) -> None:
        """The same loss on held-out speech."""
        self._step(batch, "val")

    def test_step(self, batch: TalkingFaceBatch, batch_idx: int) -> None:
        """The same loss on test clips, and its chance level beside it."""
        self._step(batch, "test")
        self.log("test/info_nce_chance", math.log(self.prediction.negatives + 1), batch_size=1)

    def configure_optimizers(self) -> Any:
        """Adam on encoder and predictors, warmed up and annealed over the fit."""
        return with_one_cycle(self, torch.optim.Adam(self.parameters(), lr=self.lr), self.lr)
