"""What CompiledNetworks compiles and refuses; tests/s2v/modules/test_compiled_fits.py has the numbers."""

import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch._dynamo import register_backend
from torch._dynamo.utils import counters

from callbacks.compiled_networks import CompiledNetworks
from s2v.errors import InputError
from s2v.models.discriminators import FrameDiscriminator
from tests.callbacks.small_gan import SmallGAN, loader
from tests.quiet_trainer import trainer


def compiled(module: torch.nn.Module) -> set[str]:
    return {name for name, part in module.named_modules() if part._compiled_call_impl is not None}


def start(
    folder: Path, module: SmallGAN, networks: tuple[str, ...] = ("discriminators.frame",), **settings: Any
) -> set[str]:
    CompiledNetworks(networks, **settings).on_fit_start(trainer(folder), module)
    return compiled(module)


def test_compiles_what_is_named(tmp_path: Path) -> None:
    names = ("discriminators.frame", "generator.0")
    assert start(tmp_path, SmallGAN(), names, backend="eager") == set(names)


def test_compiles_the_methods_that_a_network_names(tmp_path: Path) -> None:
    module, frames = SmallGAN(), torch.rand(1, 3, 8, 8)
    frame = FrameDiscriminator(width=1 / 16, layers=1, normalise=False)
    module.discriminators["frame"] = frame
    wanted = frame.feature_maps(frames)
    torch._dynamo.reset()
    counters.clear()
    start(tmp_path, module, backend="eager")
    torch.testing.assert_close(frame.feature_maps(frames), wanted)
    assert counters["stats"]["unique_graphs"] == 1
    frame.score_maps(wanted)  # not named
    assert counters["stats"]["unique_graphs"] == 1


@register_backend(name="noted")
def noted(graph: torch.fx.GraphModule, inputs: Any, **options: Any) -> Callable[..., Any]:
    """Compiles nothing, and notes the mode that each graph would be compiled in."""
    MODES.append(options.get("mode"))
    return graph.forward


MODES: list[str | None] = []


@pytest.mark.parametrize(("dynamic", "graphs"), [(True, 1), (None, 2), (False, 10)])
def test_options_reach_torch_compile(tmp_path: Path, dynamic: bool | None, graphs: int) -> None:
    """PyTorch itself compiles one network in 8 ways at most."""
    torch._dynamo.reset()
    MODES.clear()
    module = SmallGAN()
    module.discriminators["frame"] = FrameDiscriminator(width=1 / 16, layers=1, normalise=False)
    with torch._dynamo.config.patch(recompile_limit=8):
        start(tmp_path, module, backend="noted", mode="max-autotune", dynamic=dynamic)
        for clips in range(2, 12):
            module.discriminators["frame"](torch.rand(clips, 3, 8, 8))
    assert len(MODES) == graphs and set(MODES) == {"max-autotune"}


def test_the_checkpoint_is_that_of_an_eager_fit(tmp_path: Path) -> None:
    states = []
    for folder, callbacks in (
        ("eager", []),
        ("compiled", [CompiledNetworks(["discriminators.frame"], backend="eager")]),
    ):
        torch.manual_seed(0)
        saved = ModelCheckpoint(tmp_path / folder, filename="last", every_n_train_steps=2)
        trainer(tmp_path, saved, *callbacks, max_steps=2).fit(SmallGAN(), loader())
        states.append(torch.load(tmp_path / folder / "last.ckpt", weights_only=True)["state_dict"])
    assert states[0].keys() == states[1].keys()
    torch.testing.assert_close(states[0], states[1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"networks": ["decoder"]}, r"SmallGAN has no network 'decoder' \(.*attribute"),
        (
            {"networks": ["discriminators"]},
            r"'discriminators', a container: name what it holds, discriminators.ident",
        ),
        ({"networks": ["generator"]}, r"'generator', a container: name what it holds, generator.0"),
        ({"backend": "inducter"}, r"backend='inducter'.: torch.compile has .*inductor"),
        ({"mode": "fastest"}, r"mode='fastest'.: inductor has default, .*max-autotune"),
    ],
)
def test_what_can_not_be_compiled_is_named(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    module = SmallGAN()
    with pytest.raises(InputError, match=message):
        start(tmp_path, module, **settings)
    assert not compiled(module)


def test_a_cpu_needs_a_compiler_and_headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(InputError, match="found no no-such-compiler: install g"):
        start(tmp_path, SmallGAN())
    monkeypatch.setenv("CXX", "true")  # any program that is there
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(InputError, match=r"Python\.h is not there: install python3-dev"):
        start(tmp_path, SmallGAN())
