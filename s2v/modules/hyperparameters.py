"""What a module keeps of its constructor's arguments, never the networks themselves, and of what it learned from."""

import inspect
from dataclasses import asdict, is_dataclass
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.core.mixins.hparams_mixin import HyperparametersMixin, _given_hyperparameters
from lightning.pytorch.utilities.parsing import collect_init_args

from s2v.batch import WITHOUT_CONSENT
from s2v.modules.consent_mark import mark_unasked, unasked_of


class PlainHyperparameters(pl.LightningModule):
    """A LightningModule whose `save_hyperparameters()` never keeps a network.

    A module that LightningCLI builds keeps its config as it stands, networks by class path: its checkpoint then
    loads without being told anything. One built in Python keeps numbers, texts, lists, dicts and dataclasses (as
    dicts) and leaves the rest out: loggers can write that, and its checkpoint loads with `weights_only=True` and
    the networks as arguments of `load_from_checkpoint`. Lightning's own keeps the networks: they are pickled once
    more into every checkpoint, and those under spectral normalisation can't be copied.

    Its checkpoint also says which speakers had not agreed to be trained on among those whom the checkpoints that it
    has read name, stage 1's or a teacher's: the data module's own mark knows of this fit's clips alone.

    Attributes:
        true_precisions: of `trainer.precision` without mixing, those that its weights and pictures agree in; see
            `s2v.training.trainer_check`.
        has_weights: whether its weights are others than it begins with, a checkpoint's or an earlier fit's: a fit then
            goes on from them, and reads no pretrained ones over them. A module that reads some sets it once it has.
    """

    true_precisions: tuple[str, ...] = ("32-true",)  # pictures become float32, whatever the weights are
    has_weights: bool = False

    def save_hyperparameters(self, *args: Any, **kwargs: Any) -> None:
        """To be called in the constructor; with arguments it is Lightning's."""
        caller = inspect.currentframe()
        kwargs.setdefault("frame", caller.f_back if caller is not None else None)
        if args or _given_hyperparameters.get() is not None or kwargs["frame"] is None:
            super().save_hyperparameters(*args, **kwargs)
            return
        found: dict[str, Any] = {}
        for arguments in collect_init_args(kwargs["frame"], [], classes=(HyperparametersMixin,)):
            found.update(arguments)
        super().save_hyperparameters(plain_values(found), **kwargs)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """`load_from_checkpoint` gives back the config too, so that what is trained on from it can be loaded again."""
        mark_unasked(self, checkpoint)
        self.has_weights = True
        saved = checkpoint.get("hyper_parameters", {})
        if self._trainer is None and "_instantiator" in saved:
            self.save_hyperparameters(plain_values(saved))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Who had not agreed goes on from one fit's checkpoint to the next's, for `s2v export`."""
        if unasked := unasked_of(self):
            checkpoint["learned_from"] = {WITHOUT_CONSENT: unasked}


def plain_values(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments that are plain values through and through, dataclasses as dicts."""
    converted = {
        name: asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        for name, value in arguments.items()
    }
    return {name: value for name, value in converted.items() if _is_plain(value)}


def from_plain(kind: type, settings: Any) -> Any:
    """A dataclass of `kind` from what `plain_values` made of it; settings that are no dict stay as they are."""
    return kind(**settings) if isinstance(settings, dict) else settings


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(_is_plain(item) for item in value)
    return value is None or type(value) in (bool, int, float, str)
