"""Strategies of several processes that a module can't be trained with, told before any process starts."""

from lightning.pytorch import LightningModule
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.strategies import DDPStrategy, Strategy
from torch.nn.utils.parametrize import is_parametrized

from s2v.errors import InputError

INSTEAD = "take experiments/base/ddp.yaml (strategy: ddp_find_unused_parameters_true)"


def check_strategy(strategy: Strategy, module: LightningModule) -> None:
    """Whether `module` can be trained so.

    Raises:
        InputError: it can't be copied to the processes, or they would wait for gradients that never come, or batch norm
            can't be synchronised.
    """
    if not isinstance(strategy, DDPStrategy):
        return
    if strategy._layer_sync is not None and isinstance(strategy.accelerator, CPUAccelerator):
        raise InputError(
            "trainer.sync_batchnorm is for GPUs, and this fit is on CPUs: add --trainer.sync_batchnorm false"
        )
    if strategy._start_method == "spawn" and any(map(is_parametrized, module.modules())):
        raise InputError(
            f"trainer.strategy ddp_spawn: {type(module).__name__} has weights under spectral or weight normalisation, "
            f"which can't be copied to processes; {INSTEAD}"
        )
    several = len(getattr(module, "optimizer_names", ())) > 1
    if several and not strategy._ddp_kwargs.get("find_unused_parameters"):
        raise InputError(
            f"trainer.strategy ddp, which several devices mean by themselves: an optimizer of {type(module).__name__} "
            f"leaves out the others' parameters, which DDP must be told; {INSTEAD}"
        )
