"""What Lightning refuses of the Trainer's options, and PyTorch of an optimizer's, apart from faults of the code."""

import inspect
import re
from traceback import walk_tb

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer

from s2v.errors import one_line

JUDGES = (
    "lightning.fabric.accelerators.",
    "lightning.fabric.plugins.",
    "lightning.fabric.strategies.",
    "lightning.fabric.utilities.device_parser",
    "lightning.fabric.utilities.seed",
    "lightning.pytorch.accelerators.",
    "lightning.pytorch.callbacks.",
    "lightning.pytorch.loops.fit_loop",
    "lightning.pytorch.loops.training_epoch_loop",
    "lightning.pytorch.plugins.",
    "lightning.pytorch.strategies.",
    "lightning.pytorch.trainer.configuration_validator",
    "lightning.pytorch.trainer.connectors.accelerator_connector",
    "lightning.pytorch.trainer.connectors.callback_connector",
    "lightning.pytorch.trainer.connectors.checkpoint_connector",
    "lightning.pytorch.trainer.connectors.data_connector",
    "lightning.pytorch.trainer.setup",
    "lightning.pytorch.trainer.trainer",
)
"""Where Lightning (2.6) judges options. Not where it judges code: what `self.log` is given, or a step returns."""

SILENT = {
    "lightning.fabric.utilities.seed": "--seed_everything",
    "lightning.pytorch.trainer.connectors.checkpoint_connector": "--ckpt_path",
    "lightning.fabric.plugins.precision.": "trainer.precision",
    "lightning.pytorch.plugins.precision.": "trainer.precision",
}
"""Where it may do so without naming the option -> the option."""


def explain_refusal(error: BaseException) -> str | None:
    """One line: which option, and what is wrong with it; None where it is no matter of bad input.

    The line that raised decides. A ValueError of ours, out of a training step for instance, is a fault of the code.
    """
    if not isinstance(error, ValueError | MisconfigurationException):
        return None
    if refused_by(error).startswith(JUDGES):
        return with_option(error)
    *_, (frame, _) = walk_tb(error.__traceback__)
    made = frame.f_locals.get("self")
    # optimizer.py has what all optimizers share: that they get parameters, which is the code's matter
    if re.match(r"torch\.optim\.(?!optimizer$)", refused_by(error)) and frame.f_code.co_name == "__init__":
        return f"the model's {type(made).__name__}: {one_line(error)}"
    return None


def refused_by(error: BaseException) -> str:
    """The module whose code raised it."""
    *_, (frame, _) = walk_tb(error.__traceback__)
    return str(frame.f_globals["__name__"])


def with_option(error: BaseException) -> str:
    """What Lightning says, in one line after the option it is about, as far as that can be told."""
    reason, judge = one_line(error), refused_by(error)
    named = next((option for place, option in SILENT.items() if judge.startswith(place)), "")
    if not named:
        options = "|".join(name for name in inspect.signature(Trainer.__init__).parameters if name != "self")
        found = re.search(rf"\b({options})\b", reason)
        named = f"trainer.{found[1]}" if found else "trainer"
    return f"{named}: {reason}"
