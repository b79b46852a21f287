"""Numbers that modules and networks refuse, and that they name."""

import math
import re
from collections.abc import Callable
from typing import Any

import pytest

from s2v.errors import InputError
from s2v.models.identity_branch import aligned_channels
from s2v.models.width import scaled_channels
from s2v.modules.number_check import check_at_least_one, check_not_negative
from s2v.modules.sdfa import SDFALearningRates, SDFALossWeights
from tests.s2v.modules.small_modules import composer, distill
from tests.s2v.modules.test_cpc_pretraining import pretraining
from tests.s2v.modules.test_face_teacher import teacher
from tests.s2v.modules.test_sdfa import sdfa
from tests.s2v.modules.test_syncnet_training import training
from tests.s2v.modules.test_voice_distillation import voice


def voice_encoder(**settings: Any) -> Any:
    return voice(None, **settings)


@pytest.mark.parametrize("value", [-1e-9, math.nan, math.inf])
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (pretraining, "lr"),
        (training, "lr"),
        (training, "weight_decay"),
        (teacher, "lr"),
        (teacher, "weight_decay"),
        (voice_encoder, "lr"),
        (voice_encoder, "difference_weight"),
        (voice_encoder, "normalised_weight"),
        (voice_encoder, "distill_weight"),
        (voice_encoder, "lr_decay"),
        (training, "shift"),
        (training, "tolerance"),
        (sdfa, "decay"),
        (distill, "lr"),
        (distill, "normalised_weight"),
        (distill, "contrastive_weight"),
    ],
)
def test_learning_rates_and_loss_weights_are_refused_where_the_module_is_made(
    make: Callable[..., Any], name: str, value: float
) -> None:
    assert make(**{name: 0.0})
    with pytest.raises(InputError, match=re.escape(f"{name} must be 0 or more and finite, got {value}")):
        make(**{name: value})


@pytest.mark.parametrize("value", [0, -1])
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (distill, "frames_per_clip"),
        (distill, "readouts"),
        (voice_encoder, "decay_steps"),
        (composer, "window_frames"),
    ],
)
def test_counts_are_refused_that_ended_a_fit_or_never_ended(
    make: Callable[..., Any], name: str, value: int
) -> None:
    assert make(**{name: 1})
    with pytest.raises(InputError, match=re.escape(f"{name} must be at least 1, got {value}")):
        make(**{name: value})


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
def test_labels_are_smoothed_by_a_share(value: float) -> None:
    assert teacher(label_smoothing=1.0)
    with pytest.raises(InputError, match=f"label_smoothing must be from 0 to 1, got {value}"):
        teacher(label_smoothing=value)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize("make", [distill, voice_encoder])
def test_what_is_divided_by_is_above_0(make: Callable[..., Any], value: float) -> None:
    assert make(temperature=0.5)
    with pytest.raises(InputError, match=re.escape(f"temperature must be above 0 and finite, got {value}")):
        make(temperature=value)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"learning_rates": SDFALearningRates(frame=-1.0)}, "learning_rates.frame must be 0 or more"),
        ({"weights": SDFALossWeights(sync=math.nan)}, "weights.sync must be 0 or more"),
        ({"accumulate_grad_batches": 0}, "accumulate_grad_batches must be at least 1, got 0"),
    ],
)
def test_the_baselines_are_refused_too(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        sdfa(**settings)


@pytest.mark.parametrize("width", [0.0, -0.5, math.nan, math.inf])
def test_a_network_has_a_width(width: float) -> None:
    for make in (lambda: scaled_channels(64, width), lambda: aligned_channels(width)):
        with pytest.raises(InputError, match=f"a width must be above 0 and finite, got {width}"):
            make()


def test_none_leaves_it_open_and_the_first_at_fault_is_named() -> None:
    check_not_negative({"a": None, "b": 0.0})
    check_at_least_one({"a": None, "b": 1})
    with pytest.raises(InputError, match=r"place\.b must be 0 or more and finite, got -2"):
        check_not_negative({"a": 1, "b": -2, "c": -3}, "place.")
    with pytest.raises(InputError, match=r"place\.c must be at least 1, got 0"):
        check_at_least_one({"a": 1, "b": None, "c": 0}, "place.")
