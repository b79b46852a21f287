"""Which classes a checkpoint may name: Lightning and jsonargparse import and make whatever class its config names.

They do so for any class that can be imported, with the arguments beside it, before they look whether it fits.
"""

import argparse
import importlib
import importlib.util
import pickle
import sys
from collections.abc import Container, Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any, TypeVar

import lightning.pytorch as pl
import yaml
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from s2v.errors import InputError, one_line

Module = TypeVar("Module", bound=pl.LightningModule)

_NOT_BUILT = (
    argparse.ArgumentError,
    AttributeError,
    ImportError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
)
"""What a load raises where a checkpoint does not tell how its networks are built, or they do not fit."""

# Lightning takes the first, and in older checkpoints the others
_SETTINGS = ("hyper_parameters", "hparams", "module_arguments")
_INSTANTIATORS = ("lightning.pytorch.cli.instantiate_module", "pytorch_lightning.cli.instantiate_module")
_OWN = ("s2v.models.", "s2v.modules.", "data_modules.speech_augmentation.")
_LIBRARIES = {
    "lightning",
    "lightning_fabric",
    "pytorch_lightning",
    "torch",
    "torchaudio",
    "torchmetrics",
    "torchvision",
}
"""Packages that this one imports and that have networks: that those are imported is not the user's word."""
_PLAIN = ("torch.nn.modules.", "torch.optim.", "lightning.pytorch.cli.")
"""Of these, what does nothing but compute: layers, optimizers and schedulers."""


_FILE_OPTIONS = (
    "cpc_checkpoint",
    "emotion_teacher",
    "feature_network",
    "identity_teacher",
    "initial_checkpoint",
    "pretrained",
    "speaker_checkpoint",
    "stage1_checkpoint",
    "voice_checkpoint",
)
_FILE_ENDINGS = (".ckpt", ".pt", ".pth", ".model", ".dat")


def module_from(
    kind: type[Module], checkpoint: dict[str, Any], path: str, purpose: str, device: str = "cpu"
) -> Module:
    """The module in a checkpoint, which may be a stranger's.

    Args:
        kind: what it has to be.
        checkpoint: its content.
        path: of the file.
        purpose: what it is wanted for, to be named in the error.
        device: where to put it.

    Raises:
        InputError: it names a class that a checkpoint may not name, does not tell how its networks are built, or they
            do not fit.
    """
    check_named_classes(checkpoint, path, purpose)
    try:
        return kind.load_from_checkpoint(path, map_location=device, weights_only=True)
    except InputError:
        raise
    except _NOT_BUILT as error:
        raise InputError(
            f"{purpose}: {path} can't be loaded as {kind.__name__} ({one_line(error, 160) or type(error).__name__}): "
            "expected a checkpoint that `s2v fit` wrote, which says how its networks are built"
        ) from error


def check_named_classes(checkpoint: dict[str, Any], path: str, purpose: str) -> None:
    """Refuse a checkpoint whose config names other classes than this package's, PyTorch's plain ones and imported ones.

    What counts as imported is a network, an optimizer or a scheduler of a module that the user has imported. Of this
    package's own modules those are imported that hold networks; no other is.

    Args:
        checkpoint: its content.
        path: of the file, for the error.
        purpose: what it is wanted for, likewise.

    Raises:
        InputError: naming the class, and what to do.
    """
    loaded = {network.__name__ for network in _subclasses(nn.Module)}
    for key in _SETTINGS:
        settings = checkpoint.get(key)
        maker = settings.get("_instantiator") if isinstance(settings, dict) else None
        if maker is not None and maker not in _INSTANTIATORS:
            raise InputError(
                f"{purpose}: {path} asks to be made by {_shown(maker)}: expected `s2v fit`'s checkpoint"
            )
        for name, value in _settings_in(settings):
            if name == "_instantiator" and value in _INSTANTIATORS:
                continue
            if isinstance(value, str) and _is_written_table(value):
                raise InputError(
                    f"{purpose}: {path} has a list or table written as text, {_shown(value)}, which could hide "
                    "what class it names: expected `s2v fit`'s checkpoint"
                )
            named = _named_class(name, value, loaded)
            if named is not None and not _is_permitted(named):
                raise InputError(_refusal(named, path, purpose))


def _named_class(name: str, value: Any, loaded: Container[str]) -> Any | None:
    """What of a setting would be taken for a class: a dotted path, as a rule; None where nothing would."""
    if isinstance(value, str) and value.startswith("class:"):
        return value.split(":")[1]  # a face network of one's own, `class:package.module.Class[:FILE]`
    if _is_class_path(name):
        return value
    if not isinstance(value, str):
        return None
    # where an argument takes a class, its path alone names it as well, and so does a loaded network's bare name
    if value in loaded or (_could_be_imported(value) and not _is_weight_file(name, value)):
        return value
    return None


def _settings_in(settings: Any) -> Iterator[tuple[str, Any]]:
    """(key, value) of all that is no dict or list, however deep, and of a `class_path` whatever it is."""
    waiting, seen = [("", settings)], set()
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, Mapping | list | tuple | set | frozenset):
            # a file can hold a list that holds itself
            if id(value) in seen:
                continue
            seen.add(id(value))
        if isinstance(value, Mapping):
            waiting += [(str(key), inner) for key, inner in value.items()]
            if _is_class_path(name):
                yield name, value
        elif isinstance(value, list | tuple | set | frozenset):
            waiting += [(name, inner) for inner in value]
        else:
            yield name, value


def _is_class_path(key: str) -> bool:
    """Whether it is one, or the last part of a dotted one."""
    return key.rpartition(".")[2] in ("class_path", "_class_path")


def _is_written_table(text: str) -> bool:
    """Whether jsonargparse, which reads texts as YAML or JSON, makes a dict or list of it."""
    if text.lstrip()[:1] in ("{", "["):
        return True
    try:
        # as jsonargparse does: what either can't read, it leaves a text
        node = yaml.compose(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:
        return False
    return isinstance(node, yaml.CollectionNode)


def _could_be_imported(text: str) -> bool:
    """Whether it is a dotted path that begins with a module's name; nothing is imported."""
    top, *rest = text.split(".")
    if not rest or not all(part.isidentifier() for part in (top, *rest)):
        return False
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        # it is there without saying whence, as `__main__`
        return True


def _is_weight_file(key: str, text: str) -> bool:
    """Whether `test.ckpt` is a file and not a class of the package `test`: by its ending, where a file is asked for."""
    return key in _FILE_OPTIONS and text.endswith(_FILE_ENDINGS)


def _is_permitted(path: Any) -> bool:
    """Whether it is the full path of a class that a checkpoint may name."""
    if not isinstance(path, str):
        return False
    module, _, name = path.rpartition(".")
    if path.startswith(_OWN):
        try:
            importlib.import_module(module)
        except ImportError:
            return False
    # not getattr: a module can import on demand
    found = vars(sys.modules[module]).get(name) if sys.modules.get(module) is not None else None
    if not isinstance(found, type):
        return False
    home = f"{found.__module__}."
    if home.startswith(_OWN) and is_dataclass(found):
        return True
    # any other class, such as subprocess.Popen, is imported in every process
    return issubclass(found, nn.Module | Optimizer | LRScheduler) and (
        home.split(".")[0] not in _LIBRARIES or home.startswith(_PLAIN)
    )


def _subclasses(kind: type[Any]) -> Iterator[type[Any]]:
    for each in kind.__subclasses__():
        yield each
        yield from _subclasses(each)


def _refusal(named: Any, path: str, purpose: str) -> str:
    module = named.rpartition(".")[0] if isinstance(named, str) else ""
    advice = "expected the checkpoint of a fit"
    if module and all(part.isidentifier() for part in module.split(".")) and module not in sys.modules:
        advice = (
            "if it is yours or you trust it, import its module yourself: "
            f'python -c "import sys, {module}, s2v.cli; sys.exit(s2v.cli.main())" and then as before, from the '
            "command on"
        )
    return (
        f"{purpose}: {path} names the class {_shown(named)}, which is neither s2v's nor a network, optimizer or "
        f"scheduler that you have imported, and is not imported because a checkpoint says so; {advice}"
    )


def _shown(value: Any) -> str:
    return ascii(value)[:100]
