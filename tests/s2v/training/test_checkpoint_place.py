"""Which checkpoints and folders are refused before the work, and which are not."""

import warnings
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.callbacks import ModelCheckpoint

from s2v.errors import InputError
from s2v.training.checkpoint_place import check_checkpoint_folders, check_checkpoint_option, check_moved_runs
from tests.quiet_trainer import trainer


@pytest.mark.parametrize("part", ["meta.pt", ".metadata", "latest", "checkpoint"])
def test_a_folder_is_a_checkpoint_where_fsdp_or_deepspeed_wrote_it(part: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder: name a file in it"):
        check_checkpoint_option(str(tmp_path))
    (tmp_path / part).touch()
    check_checkpoint_option(str(tmp_path))


def test_a_run_in_another_folder_replaces_no_checkpoints(tmp_path: Path) -> None:
    kept, run = tmp_path / "kept", tmp_path / "run"
    fit = trainer(tmp_path, ModelCheckpoint(kept))
    check_checkpoint_folders(fit, "fit", {"run_dir": str(run)})
    kept.mkdir()
    (kept / "last.ckpt").touch()
    with pytest.raises(
        InputError, match=f"checkpoints would replace those in {kept}; begin from the configs"
    ):
        check_checkpoint_folders(fit, "fit", {"run_dir": str(run)})
    check_checkpoint_folders(fit, "fit", {"run_dir": str(kept.parent)})
    check_checkpoint_folders(fit, "validate", {"run_dir": str(run)})


def test_a_fit_goes_on_among_its_own_checkpoints_alone(tmp_path: Path) -> None:
    """Which may lie outside its folder; those that lie beside a run's config are that run's."""
    kept, run = tmp_path / "kept", tmp_path / "run"
    fit = trainer(tmp_path, ModelCheckpoint(kept))
    kept.mkdir()
    last = kept / "last.ckpt"
    last.touch()
    check_checkpoint_folders(fit, "fit", {"run_dir": str(run), "ckpt_path": str(last)})
    (kept / "config.yaml").touch()
    with pytest.raises(InputError, match=f"--run_dir {run} does not move .* replace those in {kept};"):
        check_checkpoint_folders(fit, "fit", {"run_dir": str(run), "ckpt_path": str(last)})
    check_checkpoint_folders(fit, "fit", {"run_dir": str(kept), "ckpt_path": str(last)})


def saved_config(folder: str) -> dict[str, Any]:
    return {"trainer": {"callbacks": [{"class_path": "ModelCheckpoint", "init_args": {"dirpath": folder}}]}}


def test_a_config_alone_is_no_run_that_was_moved(tmp_path: Path) -> None:
    """A copy of a run's, to begin another one with; or one of one's own, which says where by another key."""
    run, copy = tmp_path / "run", tmp_path / "copy"
    for folder in (run, copy):
        folder.mkdir()
    (run / "last.ckpt").touch()
    config = str(copy / "config.yaml")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_moved_runs({config: saved_config(str(run))})
        (copy / "last.ckpt").touch()
        check_moved_runs(
            {config: saved_config("${run_dir}"), str(copy / "mine.yaml"): saved_config(str(run))}
        )
    with pytest.raises(
        InputError, match=f"is of a run that was in {run}, where another one's checkpoints are"
    ):
        check_moved_runs({config: saved_config(str(run))})
