"""What stage 2 refuses, or warns of, before its first step."""

import math
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from s2v.errors import InputError
from s2v.modules.adversarial import weighted_sum
from s2v.modules.composer import GradientClipping, LossWeights
from s2v.modules.composer_checks import check_identity, check_matching
from s2v.modules.one_cycle import OneCycleAtRate
from tests.s2v.modules.composer_fits import Blind, fit
from tests.s2v.modules.small_modules import composer


@pytest.mark.parametrize(
    ("name", "rate"), [("generator_lr", -1.0), ("frame_lr", math.nan), ("sync_lr", math.inf)]
)
def test_rates_that_would_train_wrongly_are_refused(name: str, rate: float) -> None:
    with pytest.raises(InputError, match=f"{name} must be 0 or more and finite, got {rate}"):
        composer(**{name: rate})


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"clipping": GradientClipping(frame=-1.0)}, "clipping.frame must be 0 or more and finite, got -1.0"),
        ({"clipping": {"sync": math.nan}}, "clipping.sync must be 0 or more and finite, got nan"),
        ({"weights": LossWeights(mouth=-0.5)}, "weights.mouth must be 0 or more and finite, got -0.5"),
        ({"gradient_sigma": -1.0}, "gradient_sigma must be 0 or more and finite, got -1.0"),
        ({"gradient_sigma": math.nan}, "gradient_sigma must be 0 or more and finite, got nan"),
        ({"accumulate_grad_batches": 0}, "accumulate_grad_batches must be at least 1, got 0"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=re.escape(reason)):
        composer(**settings)


def test_zeros_that_mean_none_are_taken() -> None:
    made = composer(
        gradient_sigma=0.0, clipping=GradientClipping(frame=0.0), weights=LossWeights(gradient=0.0)
    )
    assert made.gradient_sigma == made.clipping.frame == made.weights.gradient == 0


def test_a_scheduler_that_waits_for_a_loss_is_refused(tmp_path: Path, face_file: str) -> None:
    module = composer(feature_network=face_file, scheduler=torch.optim.lr_scheduler.ReduceLROnPlateau)
    with pytest.raises(InputError, match="ReduceLROnPlateau waits for one number"):
        fit(tmp_path, module)


LBFGS, Adam, StepLR = torch.optim.LBFGS, torch.optim.Adam, torch.optim.lr_scheduler.StepLR


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": LBFGS}, "^LBFGS can't train these networks"),
        (
            {"scheduler": lambda optimizer: OneCycleAtRate(optimizer, 40)},
            "^OneCycleAtRate's one cycle of 40 steps would take as many epochs: .*scheduler_interval to step",
        ),
        (
            {"scheduler": lambda optimizer: StepLR(optimizer, 0), "scheduler_interval": "step"},
            "^the model's StepLR fails at step 1 .*: give its init_args other numbers",
        ),
    ],
)
def test_what_can_not_step_is_one_line(
    tmp_path: Path, face_file: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        fit(tmp_path, composer(feature_network=face_file, **settings), max_epochs=3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": lambda weights: Adam(weights, lr=0.5)}, "^the optimizer.s lr of 0.5 does nothing"),
        (
            {
                "scheduler": lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, 100),
                "scheduler_interval": "step",
            },
            "^OneCycleLR gives all optimizers one rate, 4e-05 to begin with",
        ),
        ({"optimizer": Adam}, ""),
        ({"scheduler": lambda optimizer: OneCycleAtRate(optimizer, 40), "scheduler_interval": "step"}, ""),
    ],
)  # fmt: skip
def test_rates_that_are_not_those_of_the_config_are_told(
    tmp_path: Path, face_file: str, settings: dict[str, Any], message: str
) -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        fit(tmp_path, composer(feature_network=face_file, **settings))
    told = [str(warning.message) for warning in said if " rate" in str(warning.message)]
    assert len(told) == bool(message) and all(re.search(message, text) for text in told)


def test_a_term_that_is_no_scalar_is_named() -> None:
    terms = {"similarity": torch.ones(()), "motion": torch.ones(2, 3)}
    with pytest.raises(InputError, match=r"^the generator's term 'motion' has the shape \(2, 3\): a scalar"):
        weighted_sum(terms, LossWeights())


def test_feature_matching_needs_a_trained_discriminator_that_shows_its_maps() -> None:
    with pytest.raises(
        InputError, match=r"weights.frame is 0, which leaves it untrained: give both a weight"
    ):
        composer(weights=LossWeights(frame=0, matching=1.0))
    with pytest.raises(InputError, match=r"Blind has no feature_maps.*add it, or set weights.matching to 0"):
        check_matching(LossWeights(matching=1.0), Blind())


def test_an_identity_discriminator_makes_maps_alike() -> None:
    with pytest.raises(InputError, match=r"Blind has no normalise_real\(maps\).*set weights.identity to 0"):
        check_identity(LossWeights(identity=0.1), Blind())
    check_identity(LossWeights(identity=0.0), Blind())
    composer(weights=LossWeights(identity=0.1))
