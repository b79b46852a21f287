"""Checkpoints of tiny judges, written as `s2v fit` writes them."""

import sys
from pathlib import Path
from unittest.mock import patch

import lightning.pytorch as pl
import torch
import torchvision
import yaml
from lightning.pytorch.cli import LightningCLI

from s2v.modules.face_teacher import FaceTeacher
from s2v.modules.syncnet_training import SyncNetTraining


class _NoData(pl.LightningDataModule):
    """LightningCLI wants one."""


def save_checkpoint(
    kind: type[pl.LightningModule], arguments: dict, path: Path, class_names: list[str] | None = None
) -> str:
    """An untrained module, made from YAML: hyperparameters of nested networks are stored as text then."""
    config = path.with_suffix(".yaml")
    config.write_text(yaml.safe_dump({"model": arguments}))
    with patch.object(sys, "argv", sys.argv[:1]):
        cli = LightningCLI(
            kind,
            _NoData,
            run=False,
            save_config_callback=None,
            trainer_defaults={"accelerator": "cpu", "logger": False, "default_root_dir": str(path.parent)},
            args=["--config", str(config)],
        )
    if class_names is not None:
        cli.model.class_names = class_names
    cli.trainer.strategy.connect(cli.model)
    cli.trainer.save_checkpoint(path)
    return str(path)


def save_face_teacher(path: Path, class_names: list[str], labels: str = "emotion") -> str:
    """A FaceTeacher with a SENet-50 of one block a stage."""
    network = {
        "class_path": "s2v.models.senet.SENet50",
        "init_args": {
            "image_size": 32,
            "width": 0.0625,
            "blocks": [1, 1, 1, 1],
            "num_classes": len(class_names),
        },
    }
    return save_checkpoint(FaceTeacher, {"network": network, "labels": labels}, path, class_names)


def save_syncnet(path: Path) -> str:
    """A SyncNetTraining with a SyncNet of 1/32 of the channels."""
    network = {
        "class_path": "s2v.models.syncnet.SyncNet",
        "init_args": {"image_size": 64, "width": 0.03125},
    }
    return save_checkpoint(SyncNetTraining, {"syncnet": network}, path)


def save_mouth_syncnet(path: Path) -> str:
    """The same with a MouthSyncNet, whose embeddings have length 1."""
    network = {"class_path": "s2v.models.mouth_syncnet.MouthSyncNet", "init_args": {"hidden": 16}}
    return save_checkpoint(SyncNetTraining, {"syncnet": network}, path)


def save_alexnet(path: Path) -> str:
    """Random AlexNet weights as torchvision keeps them, of its large classifier one bias alone."""
    state = torchvision.models.alexnet(weights=None).state_dict()
    kept = {key: value for key, value in state.items() if key.startswith(("features.", "classifier.6.bias"))}
    torch.save({key: value.clone() for key, value in kept.items()}, path)
    return str(path)
