"""Real complaints of jsonargparse, from the parser that `s2v fit` uses, in one line."""

from pathlib import Path

import pytest
from lightning.pytorch import LightningModule

from s2v.config_errors import check_syntax
from s2v.errors import InputError
from s2v.training_cli import TrainingParser


@pytest.fixture(scope="module")
def parser() -> TrainingParser:
    settings = {"parser_mode": "omegaconf+", "allow_abbrev": False}
    inner = TrainingParser(**settings)
    inner.add_argument("--trainer.max_epochs", type=int | None)
    inner.add_lightning_class_args(LightningModule, "model", subclass_mode=True)
    outer = TrainingParser(prog="s2v", **settings)
    outer.add_subcommands().add_subcommand("fit", inner)
    return outer


MODEL = "--model tests.callbacks.small_gan.SmallGAN "
CPC = "--model s2v.modules.cpc_pretraining.CPCPretraining --model.cpc s2v.models.cpc.CPC "


@pytest.mark.parametrize(
    ("args", "line"),
    [
        ("--trainer.max_epoch 3", "unknown option --trainer.max_epoch: did you mean --trainer.max_epochs?"),
        (MODEL + "--trainer.max_epochs many", "trainer.max_epochs: expected int, got many"),
        (MODEL + "--model.lrr 3", "model: SmallGAN has no option 'lrr': did you mean lr?"),
        (MODEL + "--model.lr much", "model.init_args.lr: expected float, got much"),
        (
            CPC + "--model.cpc.chanels 3",
            "model.init_args.cpc: CPC has no option 'chanels': did you mean channels?",
        ),
        ("--model s2v.modules.Nope", "model: there is no class s2v.modules.Nope (has no attribute 'Nope')"),
        (
            "--model s2v.modules.cpc_pretraining.CPCPretraining --model.cpc torch.nn.ReLU",
            "model.init_args.cpc: torch.nn.ReLU is no subclass of CPC",
        ),
        (
            "--model.init_args.lr 3",
            "model.init_args come before model.class_path: give the config that names the class first",
        ),
        ("", "nothing given for model: add the configs that define it, --config FILE --config FILE"),
    ],
)
def test_one_line_that_names_key_fault_and_remedy(parser: TrainingParser, args: str, line: str) -> None:
    with pytest.raises(InputError) as caught:
        parser.parse_args(["fit", *args.split()])
    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            "trainer: [1,\n  foo: : x\n",
            "is not YAML: line 2, column 8: expected the node content, but found ':'",
        ),
        ("just words", "expected keys and values"),
        ("", "expected keys and values"),
        (b"\xff\xfe\x00", "can't be read"),
        (None, "no such file"),
    ],
)
@pytest.mark.parametrize("form", ["--config={}", "--config {}", "-c {}"])
def test_names_the_file_that_is_no_config(
    tmp_path: Path, content: str | bytes | None, line: str, form: str
) -> None:
    path = tmp_path / "config.yaml"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        check_syntax(["fit", *form.format(path).split()])
    assert f"--config {path}" in str(caught.value) and line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_good_config_passes(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("trainer:\n  max_epochs: ${model.lr}\n")
    check_syntax(["fit", "--config", str(tmp_path / "config.yaml")])
