"""A Lightning trainer that shows nothing, for tests."""

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint


def trainer(folder: Any, *callbacks: pl.Callback, **settings: Any) -> pl.Trainer:
    """On one CPU; what it writes goes to `folder`, and checkpoints only where a callback makes them."""
    defaults: dict[str, Any] = {
        "accelerator": "cpu",
        "devices": 1,
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": any(isinstance(c, ModelCheckpoint) for c in callbacks),
        "default_root_dir": folder,
    }
    return pl.Trainer(callbacks=list(callbacks), **defaults | settings)
