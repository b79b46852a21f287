"""torch.compile for a fit's networks, without another name in any checkpoint."""

import shutil
import sysconfig
from collections.abc import Sequence
from os import environ
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import nn

from s2v.errors import InputError

_CONTAINERS = (nn.ModuleDict, nn.ModuleList, nn.Sequential)
"""They run no code of their own; compiling an nn.Sequential compiles nothing, and says nothing."""
RECOMPILE_LIMIT = 64
"""A GAN calls its networks in more than PyTorch's 8 ways: training or not, gradients for weights, input or both."""


class CompiledNetworks(pl.Callback):
    """Compile networks in place at the start of a fit: the same weights and checkpoints, fewer and larger kernels.

    The first steps take a minute or more. A network's `forward` is compiled, and of its other methods those that its
    `compiled_methods` names; `s2v test` and export run uncompiled. Numbers agree with the uncompiled ones to rounding,
    so a resumed fit repeats an uninterrupted one bit for bit only where both compile.

    Args:
        networks: names of the LightningModule's submodules, such as `generator` or `discriminators.frame`.
        backend: of torch.compile.
        mode: of torch.compile, such as `max-autotune`.
        dynamic: whether sizes may change without compiling anew; None lets torch.compile find out.
    """

    def __init__(
        self,
        networks: Sequence[str],
        backend: str = "inductor",
        mode: str | None = None,
        dynamic: bool | None = None,
    ) -> None:
        self.networks = networks
        self.backend = backend
        self.mode = mode
        self.dynamic = dynamic

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The module's `setup` has loaded what it borrows, teachers for example.

        Raises:
            InputError: there is no such network or backend, or nothing to compile with.
        """
        networks = [_network(pl_module, name) for name in self.networks]
        if self.backend not in torch._dynamo.list_backends(exclude_tags=()):
            known = ", ".join(torch._dynamo.list_backends())
            raise InputError(f"CompiledNetworks(backend={self.backend!r}): torch.compile has {known}")
        if self.backend == "inductor" and self.mode is not None:
            modes = dict.fromkeys(["default", *torch._inductor.list_mode_options()])
            if self.mode not in modes:
                raise InputError(f"CompiledNetworks(mode={self.mode!r}): inductor has {', '.join(modes)}")
        if self.backend == "inductor" and trainer.strategy.root_device.type == "cpu":
            _check_compiler()
        torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, RECOMPILE_LIMIT)
        for network in networks:
            settings: dict[str, Any] = {"backend": self.backend, "mode": self.mode, "dynamic": self.dynamic}
            network.compile(**settings)
            for method in getattr(network, "compiled_methods", ()):
                setattr(network, method, torch.compile(getattr(network, method), **settings))


def _network(module: pl.LightningModule, name: str) -> nn.Module:
    try:
        network = module.get_submodule(name)
    except AttributeError as error:
        raise InputError(
            f"CompiledNetworks: {type(module).__name__} has no network {name!r} ({error})"
        ) from None
    if isinstance(network, _CONTAINERS):
        held = ", ".join(f"{name}.{child}" for child, _ in network.named_children())
        raise InputError(f"CompiledNetworks can't compile {name!r}, a container: name what it holds, {held}")
    return network


def _check_compiler() -> None:
    """PyTorch would find out after the first batch, in 40 lines."""
    compilers = [environ["CXX"]] if environ.get("CXX") else ["g++", "clang++"]
    if not any(shutil.which(compiler) for compiler in compilers):
        raise InputError(
            f"CompiledNetworks: compiling for a CPU needs a C++ compiler, found no {' and no '.join(compilers)}: "
            "install g++, or leave the callback out"
        )
    header = Path(sysconfig.get_path("include"), "Python.h")
    if not header.exists():
        raise InputError(
            f"CompiledNetworks: compiling for a CPU needs Python's headers, {header} is not there: "
            "install python3-dev, or leave the callback out"
        )
