"""What a fit of stage 1 hears with at its start: a pretrained CPC, and perhaps a speaker encoder."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from s2v.errors import InputError
from s2v.models.cpc import CPC
from s2v.models.speaker_encoder import SpeakerEncoder
from s2v.models.speech_representation import SpeechRepresentation
from s2v.modules.cpc_pretraining import CPCPretraining
from s2v.modules.distill import DistillModule
from s2v.modules.speech_weights import load_cpc_weights, load_speaker_weights
from tests.s2v.modules.small_faces import SmallFaces, trainer
from tests.s2v.modules.small_modules import CONTEXT, assert_same, distill, representation


@pytest.fixture(scope="module")
def cpc_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A CPC pretraining's checkpoint, with other weights than `distill`'s."""
    folder = tmp_path_factory.mktemp("cpc")
    torch.manual_seed(5)
    fit = trainer(folder)
    fit.strategy.connect(CPCPretraining(representation().cpc))
    fit.save_checkpoint(folder / "cpc.ckpt")
    yield folder / "cpc.ckpt"


def test_a_fit_starts_from_the_pretrained_cpc_and_a_resumed_one_does_not_need_it(
    teachers: dict[str, Any], cpc_file: Path, tmp_path: Path
) -> None:
    copy = shutil.copy(cpc_file, tmp_path / "cpc.ckpt")
    pretrained = torch.load(copy, weights_only=True)["state_dict"]
    made = distill(cpc_checkpoint=str(copy), **teachers)
    fit = trainer(tmp_path, max_steps=1, max_epochs=-1)
    fit.fit(made, datamodule=SmallFaces(pictures=4))
    fit.save_checkpoint(tmp_path / "last.ckpt")
    own = made.representation.cpc.state_dict()
    assert_same(own, {name: pretrained[f"cpc.{name}"] for name in own})
    copy.unlink()
    again = distill(seed=9, cpc_checkpoint=str(copy), **teachers)
    fit = trainer(tmp_path, max_steps=2, max_epochs=-1)
    fit.fit(again, datamodule=SmallFaces(pictures=4), ckpt_path=tmp_path / "last.ckpt")
    assert fit.global_step == 2
    assert_same(again.representation.cpc.state_dict(), own)


def test_takes_published_cpc_weights(cpc_file: Path, tmp_path: Path) -> None:
    """The published file keeps the network under `weights`, sizes and all under `config`."""
    state = torch.load(cpc_file, weights_only=True)["state_dict"]
    own = {name.removeprefix("cpc."): value for name, value in state.items() if name.startswith("cpc.")}
    torch.save({"weights": own, "config": {}}, tmp_path / "cpc.pt")
    cpc = representation().cpc
    load_cpc_weights(cpc, str(tmp_path / "cpc.pt"))
    assert_same(cpc.state_dict(), own)


def test_a_cpc_of_another_size_is_one_line(teachers: dict[str, Any], tmp_path: Path) -> None:

    fit = trainer(tmp_path)
    fit.strategy.connect(CPCPretraining(CPC(channels=CONTEXT, hidden=8)))
    fit.save_checkpoint(tmp_path / "cpc.ckpt")
    made = distill(cpc_checkpoint=str(tmp_path / "cpc.ckpt"), **teachers)
    with pytest.raises(InputError, match=r"pretrained CPC: .* \(misshapen: gAR\.baseNet\.bias_hh_l0"):
        trainer(tmp_path, max_steps=1).fit(made, datamodule=SmallFaces(pictures=2))


def test_a_cpc_of_other_predictions_is_tuned_with_the_same(teachers: dict[str, Any], tmp_path: Path) -> None:
    torch.manual_seed(5)
    fit, file = trainer(tmp_path), tmp_path / "cpc.ckpt"
    pretrained = CPCPretraining(representation().cpc, steps_ahead=3, negatives=9)
    fit.strategy.connect(pretrained)
    fit.save_checkpoint(file)
    settings = {"cpc_checkpoint": str(file), "finetune_cpc": True, "lr": 0.0, **teachers}
    with pytest.raises(InputError, match=r"pretrained CPC: .*missing: predictors\.10\.weight"):
        trainer(tmp_path, max_steps=1).fit(distill(**settings), datamodule=SmallFaces(pictures=2))
    made = distill(**settings, steps_ahead=3, negatives=9)
    trainer(tmp_path, max_steps=1).fit(made, datamodule=SmallFaces(pictures=2))
    assert made.prediction is not None and made.prediction.negatives == 9
    assert_same(made.prediction.state_dict(), pretrained.prediction.state_dict())


def test_a_speaker_encoder_is_read_from_its_file_and_never_trained(
    teachers: dict[str, Any], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    published = SpeakerEncoder(hidden=8, out_dim=CONTEXT, layers=1)
    file = tmp_path / "pretrained.pt"
    torch.save({"model_state": published.state_dict()}, file)
    whole = representation()
    heard = SpeechRepresentation(
        whole.cpc, whole.identity_head, whole.emotion_head, SpeakerEncoder(8, CONTEXT, 1)
    )
    made = DistillModule(heard, speaker_checkpoint=str(file), **teachers)
    trainer(tmp_path, max_steps=2).fit(made, datamodule=SmallFaces(pictures=4))
    assert heard.speaker_encoder is not None
    for name, value in published.state_dict().items():
        assert torch.equal(heard.speaker_encoder.state_dict()[name], value), name
    made.train()
    assert not heard.speaker_encoder.training


def test_speaker_weights_without_a_speaker_encoder_are_one_line(tmp_path: Path) -> None:
    file = tmp_path / "pretrained.pt"
    torch.save({"model_state": SpeakerEncoder(8, CONTEXT, 1).state_dict()}, file)
    with pytest.raises(InputError, match="but the representation has no speaker encoder"):
        load_speaker_weights(representation(), str(file))
