"""Weights & Biases without a prompt: log in beforehand, or runs are kept on disk."""

import netrc
import os
from pathlib import Path
from urllib.parse import urlsplit


def is_logged_in() -> bool:
    """Whether W&B would find a key without asking: in the environment, or where `wandb login` puts it."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).netloc
    given = os.environ.get("NETRC")
    for path in [Path(given)] if given else [Path("~/.netrc"), Path("~/_netrc")]:
        try:
            return netrc.netrc(path.expanduser()).authenticators(host) is not None
        except FileNotFoundError:
            continue
        except (netrc.NetrcParseError, OSError):
            return False
    return False


def work_offline_unless_logged_in() -> bool:
    """Set WANDB_MODE=offline where W&B would ask for a key; whether it was set.

    An explicit WANDB_MODE stays as it is. Offline runs can be sent later: `wandb sync`.
    """
    if os.environ.get("WANDB_MODE") or is_logged_in():
        return False
    os.environ["WANDB_MODE"] = "offline"
    return True
