"""A constructor's own complaint about what a config gives it, dug out of what jsonargparse and Lightning make of it."""

import importlib
import re
from collections.abc import Iterator
from traceback import walk_tb
from typing import Any

from jsonargparse import Namespace
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer

from s2v.errors import InputError, one_line
from s2v.training.lightning_refusal import refused_by, with_option


def explain_constructor(error: Exception, config: Namespace) -> str | None:
    """One line: where in the config, which class, what its constructor says; None where it is no matter of bad input.

    Args:
        error: what instantiating the config's classes raised.
        config: of one subcommand.
    """
    own = next((link for link in _chain(error) if not _is_jsonargparse(link)), None)
    if own is None:
        return _listed_reason(str(error)) if isinstance(error, ValueError) else None
    cls = _constructed(own)
    if cls is Trainer and refused_by(own).startswith("lightning."):
        # its accelerators and plugins refuse by TypeError, and by ImportError what is not installed
        refusals = (ValueError, TypeError, ImportError, MisconfigurationException)
        return with_option(own) if isinstance(own, refusals) else None
    if not isinstance(own, ValueError | MisconfigurationException):
        return None
    reason = one_line(own)
    if cls is None:
        return reason if isinstance(own, InputError) else None
    if cls is Trainer:
        return f"trainer: {reason}"
    keys = set(_keys_of(cls, config))
    return f"{keys.pop()} ({cls.__name__}): {reason}" if len(keys) == 1 else f"{cls.__name__}: {reason}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _is_jsonargparse(error: BaseException) -> bool:
    """Whether it was raised there, and so says nothing but that something else was."""
    *_, (frame, _) = walk_tb(error.__traceback__)
    return str(frame.f_globals["__name__"]).partition(".")[0] == "jsonargparse"


def _listed_reason(message: str) -> str:
    """Where several types may stand, jsonargparse keeps the first one's exception, but every one's words."""
    of_types = r"(?:Expected an? |Not a valid subclass|Does not validate|an? (?:class path|dict) )"
    told = re.search(rf"^ +- (?!{of_types})(.*)", message, re.MULTILINE)
    return " ".join((told[1] if told else message).split())


def _constructed(error: BaseException) -> type | None:
    """The outermost class in whose constructor it was raised."""
    for frame, _ in walk_tb(error.__traceback__):
        if frame.f_code.co_name == "__init__" and "self" in frame.f_locals:
            return type(frame.f_locals["self"])
    return None


def _keys_of(cls: type, config: Any, key: str = "") -> Iterator[str]:
    """The keys under which the config names the class; those of a list's members are the list's."""
    if isinstance(config, list):
        for member in config:
            yield from _keys_of(cls, member, key)
    elif isinstance(config, Namespace):
        module, _, name = str(config.get("class_path", "")).rpartition(".")
        if module and getattr(importlib.import_module(module), name, None) is cls:
            yield key
        for inner, value in vars(config).items():
            yield from _keys_of(cls, value, f"{key}.{inner}".lstrip("."))
