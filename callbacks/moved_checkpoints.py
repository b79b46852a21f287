"""A run that goes on in another folder, moved there with its checkpoints, knows its best one still."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint


def follow_moved_folder(trainer: pl.Trainer, checkpoint: dict[str, Any]) -> None:
    """Writes into a checkpoint's states where its folder is now; call it in a callback's `on_load_checkpoint`.

    Lightning forgets the best score where the folder has another path than before, and writes the next validation's
    checkpoint over `best.ckpt`, however bad it is. A fit that takes another run's checkpoint into a folder of its own
    still begins without a best.
    """
    here = Path(str(trainer.ckpt_path)).resolve().parent
    for callback in trainer.checkpoint_callbacks:
        state = checkpoint.get("callbacks", {}).get(callback.state_key)
        if not isinstance(callback, ModelCheckpoint) or state is None or not callback.dirpath:
            continue
        before, now = state.get("dirpath"), str(callback.dirpath)
        if not before or before == now or Path(now).resolve() != here:
            continue

        def moved(path: str, before: str = before, now: str = now) -> str:
            return (
                str(Path(now, Path(path).relative_to(before))) if Path(path).is_relative_to(before) else path
            )

        state["dirpath"] = now
        for key in ("best_model_path", "kth_best_model_path", "last_model_path"):
            state[key] = moved(state.get(key, ""))
        state["best_k_models"] = {
            moved(path): score for path, score in state.get("best_k_models", {}).items()
        }
