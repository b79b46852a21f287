"""Networks that supervise a training without taking part in it: no gradients, no train mode, not in checkpoints."""

from typing import Any

from torch import nn


class FrozenNetworks(nn.ModuleDict):
    """A ModuleDict that stays in eval mode, wants no gradients and keeps out of its owner's state dict.

    Teachers weigh hundreds of megabytes and are known by their files: a checkpoint must neither hold them nor
    need them. They still follow the owner's device.
    """

    _prefix = ""

    def __init__(self) -> None:
        super().__init__()
        self.training = False
        self.register_load_state_dict_post_hook(_forgive_missing)

    def __setitem__(self, key: str, module: nn.Module) -> None:
        super().__setitem__(key, module.requires_grad_(False).eval())

    def train(self, mode: bool = True) -> "FrozenNetworks":
        """Stays in eval mode: batch norm and dropout of a teacher never move."""
        return super().train(False)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """Adds nothing to the owner's state dict."""
        destination = kwargs.get("destination")
        return {} if destination is None else destination

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        self._prefix = prefix


def _forgive_missing(module: nn.Module, incompatible_keys: Any) -> None:
    """What `state_dict` leaves out can't be missing when it is loaded."""
    assert isinstance(module, FrozenNetworks)
    missing = incompatible_keys.missing_keys
    missing[:] = [key for key in missing if not key.startswith(module._prefix)]
