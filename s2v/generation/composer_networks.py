"""The networks of a composer's checkpoint that make frames, and nothing else of it.

Loading the whole ComposerModule would take Lightning, whose import takes twice as long as PyTorch's, and the
discriminators.
"""

import importlib
from typing import Any, NamedTuple, TypeVar

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from s2v.models.frame_decoder import Speech2VideoGenerator
from s2v.models.speech_representation import SpeechRepresentation
from s2v.modules.checkpoint_part import load_part

Network = TypeVar("Network", bound=nn.Module)

_OWN_NETWORKS = "s2v.models."
_RANDOM_FILLS = {"uniform_", "normal_", "kaiming_uniform_"}


class _WithoutRandomWeights(TorchFunctionMode):
    """Layers keep the memory they get: to fill it with random numbers takes longer than to read the weights."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in _RANDOM_FILLS:  # of torch.nn.init, or a tensor's own
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


class ComposerNetworks(NamedTuple):
    """What generation takes from a composer, the networks in eval mode."""

    representation: SpeechRepresentation
    generator: Speech2VideoGenerator
    window_frames: int


def composer_networks(checkpoint: dict[str, Any], path: str) -> ComposerNetworks | None:
    """The networks of a checkpoint that `s2v fit` wrote, on the CPU, if they are all of this package.

    Args:
        checkpoint: its content.
        path: of the file, for errors.

    Returns:
        None where the config beside the weights names other classes, or there is none: load the module then.

    Raises:
        InputError: the weights do not fit the config.
    """
    config, state = checkpoint.get("hyper_parameters"), checkpoint["state_dict"]
    if not isinstance(config, dict):
        return None
    window_frames = config.get("window_frames")
    representation = _loaded(SpeechRepresentation, "representation", config, state, path)
    generator = _loaded(Speech2VideoGenerator, "generator", config, state, path)
    if representation is None or generator is None or not isinstance(window_frames, int):
        return None
    return ComposerNetworks(representation, generator, window_frames)


def _loaded(
    kind: type[Network], name: str, config: dict[str, Any], state: dict[str, Tensor], path: str
) -> Network | None:
    """The network that the config has under `name`, with its weights; None if it is no `kind` of this package."""
    if not _is_own(config.get(name)):
        return None
    try:
        with _WithoutRandomWeights():
            network = _built(config[name])
    except (TypeError, ValueError, AttributeError, ImportError):
        return None
    if not isinstance(network, kind):
        return None
    load_part(network, state, f"{name}.", path, "--checkpoint")
    return network.eval()


def _is_own(config: Any) -> bool:
    """Whether a value of a config names networks of this package, if any."""
    if not _names_class(config) or not str(config["class_path"]).startswith(_OWN_NETWORKS):
        return False
    settings = config.get("init_args", {})
    return isinstance(settings, dict) and all(map(_is_own, filter(_names_class, settings.values())))


def _names_class(value: Any) -> bool:
    return isinstance(value, dict) and "class_path" in value


def _built(config: dict[str, Any]) -> nn.Module:
    """A network as its config says."""
    module, _, name = config["class_path"].rpartition(".")
    settings = {
        key: _built(value) if _names_class(value) else value
        for key, value in config.get("init_args", {}).items()
    }
    kind = getattr(importlib.import_module(module), name)
    if not isinstance(kind, type) or not issubclass(kind, nn.Module):
        raise TypeError(f"{config['class_path']} is no network")
    return kind(**settings)
