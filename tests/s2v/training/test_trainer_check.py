"""What is asked of a fit's options is no more than is wrong, and a test that measures is not told that it does not."""

import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from callbacks.image_quality import ImageQuality
from callbacks.kept_clips import KeptClips
from s2v.training.trainer_check import check_fit_of_module, warn_of_nothing_measured
from tests.quiet_trainer import trainer
from tests.s2v.modules.test_cpc_pretraining import pretraining


def test_lightning_clips_and_adds_up_for_a_module_that_leaves_its_steps_to_it(tmp_path: Path) -> None:
    check_fit_of_module(
        trainer(tmp_path, gradient_clip_val=1.0, accumulate_grad_batches=2, max_steps=1), pretraining()
    )


def after_a_test(*callbacks: Callback, **metrics: float) -> Any:
    return SimpleNamespace(callbacks=list(callbacks), callback_metrics=metrics)


def test_a_test_is_warned_of_where_neither_module_nor_callback_measures(tmp_path: Path) -> None:
    of_validation = (ModelCheckpoint(tmp_path), ImageQuality())
    with pytest.warns(UserWarning, match="nothing was measured, no callback of this test reports"):
        warn_of_nothing_measured(after_a_test(*of_validation))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_nothing_measured(after_a_test(*of_validation, accuracy=0.5))
        warn_of_nothing_measured(after_a_test(*of_validation, KeptClips(str(tmp_path))))
