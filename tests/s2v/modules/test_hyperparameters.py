from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
import yaml
from lightning.pytorch.loggers import CSVLogger

from s2v.models.cpc import CPC
from s2v.models.syncnet import SyncNet
from s2v.modules.composer import ComposerModule, GradientClipping, LossWeights
from s2v.modules.cpc_pretraining import CPCPretraining
from s2v.modules.distill import DistillModule
from s2v.modules.face_teacher import FaceTeacher
from s2v.modules.hyperparameters import PlainHyperparameters, plain_values
from s2v.modules.syncnet_training import SyncNetTraining
from tests.s2v.modules.small_faces import SIZE, SmallFaces, trainer
from tests.s2v.modules.small_modules import (
    COMPOSER,
    IDENTITY_TEACHER,
    REPRESENTATION,
    composer,
    configured,
    distill,
    network,
    representation,
    vggface,
)

CONFIGS: dict[type[pl.LightningModule], dict[str, Any]] = {
    CPCPretraining: {"cpc": network("cpc.CPC", channels=16, hidden=16), "lr": 0.25},
    FaceTeacher: IDENTITY_TEACHER | {"lr": 0.25},
    SyncNetTraining: {"syncnet": network("syncnet.SyncNet", image_size=64, width=0.0625), "lr": 0.25},
    DistillModule: {"representation": REPRESENTATION, "lr": 0.25},
    ComposerModule: COMPOSER | {"sync_lr": 0.25, "weights": {"sync": 0.5}},
}


def networks(kind: type[pl.LightningModule]) -> dict[str, Any]:
    """The networks that a module of this kind is built around."""
    if kind is CPCPretraining:
        return {"cpc": CPC(channels=16, hidden=16)}
    if kind is FaceTeacher:
        return {"network": vggface()}
    if kind is SyncNetTraining:
        return {"syncnet": SyncNet(image_size=64, width=0.0625)}
    if kind is DistillModule:
        return {"representation": representation()}
    made = composer()
    return {
        "representation": made.representation,
        "generator": made.generator,
        **{f"{name}_discriminator": network for name, network in made.discriminators.items()},
    }


def save(module: pl.LightningModule, path: Path) -> dict[str, Any]:
    """Write a checkpoint; returns what it holds, read without executing anything."""
    fit = trainer(path.parent)
    fit.strategy.connect(module)
    fit.save_checkpoint(path)
    return torch.load(path, weights_only=True)


@pytest.mark.parametrize("kind", CONFIGS, ids=lambda kind: kind.__name__)
def test_built_from_a_config_a_checkpoint_knows_its_networks(
    kind: type[pl.LightningModule], tmp_path: Path
) -> None:
    made = configured(kind, CONFIGS[kind], tmp_path)
    saved = save(made, tmp_path / "first.ckpt")["hyper_parameters"]
    for name, value in CONFIGS[kind].items():
        if isinstance(value, dict) and "class_path" in value:
            assert saved[name]["class_path"] == value["class_path"]
            assert saved[name]["init_args"].keys() >= value["init_args"].keys()
        elif name != "weights":
            assert saved[name] == value
    loaded = kind.load_from_checkpoint(tmp_path / "first.ckpt", weights_only=True)
    torch.testing.assert_close(loaded.state_dict(), made.state_dict(), rtol=0, atol=0)
    # trained on and saved again it still does
    assert save(loaded, tmp_path / "second.ckpt")["hyper_parameters"] == saved
    again = kind.load_from_checkpoint(tmp_path / "second.ckpt", weights_only=True)
    torch.testing.assert_close(again.state_dict(), made.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("kind", CONFIGS, ids=lambda kind: kind.__name__)
def test_built_in_python_plain_values_are_kept_and_networks_are_given_again(
    kind: type[pl.LightningModule], tmp_path: Path
) -> None:
    rate = "sync_lr" if kind is ComposerModule else "lr"
    made = kind(**networks(kind), **{rate: 0.25})
    assert made.hparams[rate] == 0.25 and not made.hparams.keys() & networks(kind).keys()
    logger = CSVLogger(tmp_path, name="", version="")
    logger.log_hyperparams(made.hparams_initial)
    logger.save()
    assert yaml.safe_load((tmp_path / "hparams.yaml").read_text()) == dict(made.hparams)
    assert save(made, tmp_path / "last.ckpt")["hyper_parameters"] == dict(made.hparams)
    loaded = kind.load_from_checkpoint(tmp_path / "last.ckpt", weights_only=True, **networks(kind))
    assert loaded.hparams[rate] == 0.25
    torch.testing.assert_close(loaded.state_dict(), made.state_dict(), rtol=0, atol=0)
    with pytest.raises(TypeError, match=r"missing .* required positional argument"):
        kind.load_from_checkpoint(tmp_path / "last.ckpt", weights_only=True)


def test_a_composers_dataclasses_become_dicts_and_come_back(tmp_path: Path) -> None:
    made = composer(
        weights=LossWeights(identity=0, sync=0.5),
        clipping=GradientClipping(frame=2.0),
        scheduler=lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 1),
    )
    assert made.hparams["weights"]["sync"] == 0.5 and made.hparams["clipping"]["frame"] == 2.0
    assert "scheduler" not in made.hparams
    save(made, tmp_path / "last.ckpt")
    loaded = ComposerModule.load_from_checkpoint(
        tmp_path / "last.ckpt", weights_only=True, **networks(ComposerModule)
    )
    assert loaded.weights == made.weights and loaded.clipping == made.clipping


def test_a_fit_of_a_module_built_in_python_logs_its_values(tmp_path: Path, face_file: str) -> None:
    logger = CSVLogger(tmp_path, name="", version="")
    fit = trainer(tmp_path, logger=logger, max_steps=1, log_every_n_steps=1)
    fit.fit(composer(feature_network=face_file), datamodule=SmallFaces(clips=2, batch_size=2, pictures=2))
    logged = yaml.safe_load((tmp_path / "hparams.yaml").read_text())
    assert logged["generator_lr"] == 3e-4 and logged["weights"]["identity"] == 1.0
    assert "generator" not in logged
    assert (tmp_path / "metrics.csv").exists()


def test_a_subclass_keeps_its_own_arguments_too() -> None:
    class Sharper(DistillModule):
        def __init__(self, sharpness: float, extra: torch.nn.Module, **settings: Any) -> None:
            super().__init__(**settings)
            self.extra = extra

    made = Sharper(2.0, torch.nn.ReLU(), representation=distill().representation, lr=0.5)
    assert made.hparams["sharpness"] == 2.0 and made.hparams["lr"] == 0.5
    assert not made.hparams.keys() & {"extra", "representation", "settings"}


def test_explicit_names_are_lightnings_own() -> None:
    class Chosen(PlainHyperparameters):
        def __init__(self, one: int, two: int) -> None:
            super().__init__()
            self.save_hyperparameters("two")

    assert dict(Chosen(1, 2).hparams) == {"two": 2}


def test_plain_through_and_through() -> None:
    values = {
        "number": 1, "rate": 0.5, "yes": True, "none": None, "text": "a", "sizes": [1, (2, "b")],
        "nested": {"a": {"b": [None]}},
    }  # fmt: skip
    others = {
        "network": torch.nn.ReLU(), "tensor": torch.zeros(1), "path": Path("x"), "function": len,
        "list": [torch.nn.ReLU()], "keys": {1: "a"}, "kind": SIZE.__class__,
    }  # fmt: skip
    assert plain_values(values | others) == values
    assert plain_values({"weights": LossWeights(sync=2.0)})["weights"]["sync"] == 2.0
