"""An exponential moving average of the generator's weights: what is validated, saved and exported."""

from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from s2v.errors import InputError


class GeneratorEMA(pl.Callback):
    """Average one network's parameters over the optimizer's steps; train the raw weights, use the average.

    After step n = 1, 2, ... past `start_step`:

        average <- d * average + (1 - d) * raw,   d = min(decay, n / (n + 9))

    so the first steps, far from the end, are soon forgotten. Buffers (batch norm's statistics) are copied.
    Steps are `trainer.global_step`, which a module in manual optimisation has to count as its generator's.

    During a fit the average is in the module while it validates, and after the fit. Every checkpoint, a
    weights-only one too, holds it in `state_dict`, so test, predict, export and `load_from_checkpoint` use it
    and need not know. The raw weights travel as this callback's state, and a resumed fit goes on with those.

    Args:
        decay: weight of the past.
        start_step: until this step the average follows the raw weights.
        module: name of the LightningModule's attribute to average.

    Raises:
        InputError: the module has no such network, or the checkpoint's is another.
    """

    def __init__(self, decay: float = 0.999, start_step: int = 0, module: str = "generator") -> None:
        if not 0 <= decay < 1:
            raise InputError(f"GeneratorEMA's decay must be at least 0 and below 1, got {decay}")
        if start_step < 0:
            raise InputError(f"GeneratorEMA's start_step must be at least 0, got {start_step}")
        self.decay = decay
        self.start_step = start_step
        self.module = module
        self._averaged: dict[str, Tensor] = {}
        self._raw: dict[str, Tensor] | None = None
        """The weights in training, while the averaged ones are in the module."""
        self._last_step = 0
        self._hook: Any = None

    @property
    def state_key(self) -> str:
        """One callback a network."""
        return self._generate_state_key(module=self.module)

    def _network(self, pl_module: pl.LightningModule) -> nn.Module:
        network = getattr(pl_module, self.module, None)
        if not isinstance(network, nn.Module):
            owner = type(pl_module).__name__
            raise InputError(f"GeneratorEMA(module={self.module!r}): {owner} has no network of that name")
        return network

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """At the start of a fit: whatever saves the module from now on saves the average."""
        if stage != "fit":
            return
        self._averaged, self._raw, self._last_step = {}, None, 0
        self._network(pl_module)
        self._remove_hook()

        def put_average(
            module: nn.Module, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any]
        ) -> None:
            for name, value in self._averaged.items():
                state_dict[f"{prefix}{self.module}.{name}"] = value

        self._hook = pl_module.register_state_dict_post_hook(put_average)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The average begins as the weights that training begins with, unless a checkpoint brought one."""
        weights = self._network(pl_module).state_dict()
        self._averaged = {
            name: self._averaged.get(name, value).detach().to(value.device, copy=True)
            for name, value in weights.items()
        }

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Steps that a resumed run has behind it are in the average already."""
        self._last_step = trainer.global_step

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """One averaging step when the optimizer has stepped."""
        if trainer.global_step == self._last_step:
            return
        self._last_step = trainer.global_step
        network = self._network(pl_module)
        parameters = {name for name, _ in network.named_parameters()}
        n = self._last_step - self.start_step
        decay = min(self.decay, n / (n + 9)) if n > 0 else 0.0
        for name, value in network.state_dict().items():
            if name in parameters and value.is_floating_point():
                self._averaged[name].lerp_(value, 1 - decay)
            else:
                self._averaged[name].copy_(value)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A fit validates the average."""
        if trainer.state.fn == "fit":
            self._swap_in(pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """And goes on training the raw weights."""
        if trainer.state.fn == "fit":
            self._swap_out(pl_module)

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Validation may have been what was interrupted; a checkpoint may be saved after this."""
        if trainer.state.fn == "fit":
            self._swap_out(pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The fit's result is the average."""
        self._swap_in(pl_module)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """The module now holds what is to be saved."""
        self._remove_hook()

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Put the raw weights into the checkpoint, for a fit that goes on from it."""
        network = self._network(pl_module).state_dict()
        if self._averaged and self._raw is not None and self._differ(network, self._averaged):
            return  # after the fit, something else was loaded into the module
        if self._averaged:
            raw = network if self._raw is None else self._raw
            checkpoint.setdefault("callbacks", {})[self.state_key] = {"raw": raw}

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Resume: take the average from the checkpoint's weights, then train on from the raw ones."""
        state = checkpoint.get("callbacks", {}).get(self.state_key)
        if state is None or trainer.state.fn != "fit":
            return
        network = self._network(pl_module)
        self._averaged = {name: value.detach().clone() for name, value in network.state_dict().items()}
        if self._averaged.keys() != state["raw"].keys():
            raise InputError(
                f"the checkpoint's averaged {self.module!r} is another network: resume with its own config"
            )
        network.load_state_dict(state["raw"])

    def _swap_in(self, pl_module: pl.LightningModule) -> None:
        if self._averaged and self._raw is None:
            network = self._network(pl_module)
            self._raw = {name: value.detach().clone() for name, value in network.state_dict().items()}
            network.load_state_dict(self._averaged)

    def _swap_out(self, pl_module: pl.LightningModule) -> None:
        if self._raw is not None:
            self._network(pl_module).load_state_dict(self._raw)
            self._raw = None

    def _remove_hook(self) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None

    @staticmethod
    def _differ(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
        return any(not torch.equal(value, other[name].to(value.device)) for name, value in one.items())
