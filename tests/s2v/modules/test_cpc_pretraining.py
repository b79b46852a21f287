import math
from pathlib import Path

import pytest
import torch

from s2v.models.cpc import CPC
from s2v.modules.cpc_pretraining import CPCPretraining
from tests.s2v.modules.small_faces import Losses, SmallFaces, draw_clip, trainer


def pretraining(**settings: float) -> CPCPretraining:
    torch.manual_seed(0)
    return CPCPretraining(CPC(channels=32, hidden=32), steps_ahead=2, negatives=32, **settings)  # type: ignore[arg-type]


def test_learns_a_handful_of_clips_far_below_chance(tmp_path: Path) -> None:
    module, losses = pretraining(lr=5e-3), Losses("train/info_nce")
    before = {name: value.clone() for name, value in module.cpc.state_dict().items()}
    trainer(tmp_path, losses, max_steps=40, max_epochs=-1).fit(module, datamodule=SmallFaces())
    assert losses.values[-1] < 0.45 * math.log(32 + 1)
    assert module.trainer.callback_metrics["train/accuracy"] > 0.5
    for name, value in module.cpc.state_dict().items():
        assert not torch.equal(value, before[name]), name  # encoder and context both learn


def test_gradients_reach_the_whole_encoder_and_all_predictors() -> None:
    module = pretraining()
    loss, accuracy = module(torch.stack([draw_clip(index)["speech"] for index in range(4)]))
    loss.backward()
    assert 0 <= accuracy <= 1
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_tests_log_the_loss_and_its_chance_level(tmp_path: Path) -> None:
    (logged,) = trainer(tmp_path).test(pretraining(), datamodule=SmallFaces(clips=2), verbose=False)
    assert logged["test/info_nce_chance"] == pytest.approx(math.log(33))
    assert set(logged) == {"test/info_nce", "test/accuracy", "test/info_nce_chance"}
