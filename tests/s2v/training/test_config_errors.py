"""Real complaints of jsonargparse, from the parser that `s2v fit` uses, in one line."""

from pathlib import Path

import pytest
from lightning.pytorch import Callback, LightningModule

from s2v.cli import main
from s2v.errors import InputError
from s2v.models import cpc
from s2v.training.config_errors import overruled_options, read_configs
from s2v.training.training_parser import TrainingParser
from tests.callbacks.small_gan import SmallGAN
from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def parser() -> TrainingParser:
    settings = {"parser_mode": "omegaconf+"}
    inner = TrainingParser(**settings)
    inner.add_argument("--trainer.max_epochs", type=int | None)
    inner.add_argument("--trainer.callbacks", type=list[Callback] | Callback | None)
    inner.add_lightning_class_args(LightningModule, "model", subclass_mode=True)
    outer = TrainingParser(prog="s2v", **settings)
    outer.add_subcommands().add_subcommand("fit", inner)
    return outer


class Narrow(SmallGAN):
    """Takes less than the class that it extends."""

    def __init__(self, width: int = 1) -> None:
        super().__init__()
        self.width = width


MODEL = "--model tests.callbacks.small_gan.SmallGAN "
COMPOSER = "--model s2v.modules.composer.ComposerModule "
CPC = "--model s2v.modules.cpc_pretraining.CPCPretraining --model.cpc s2v.models.cpc.CPC "


@pytest.mark.parametrize(
    ("args", "line"),
    [
        ("--trainer.max_epoch 3", "unknown option --trainer.max_epoch: did you mean --trainer.max_epochs?"),
        (MODEL + "--trainer.max_epochs many", "trainer.max_epochs: expected int, got many"),
        (MODEL + "--model.lrr 3", "model: SmallGAN has no option 'lrr': did you mean lr?"),
        (MODEL + "--model.lr much", "model.init_args.lr: expected float, got much"),
        (
            f"--model {__name__}.Narrow --model.lr 3",
            "model: Narrow has no option 'lr', which the class that it extends has: let it take that too, or name "
            "Narrow in the last config file, after the one that sets 'lr'",
        ),
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
        (
            "--model s2v.modules.distill.DistillModule",
            "DistillModule lacks representation: add -c experiments/base/representation.yaml",
        ),
        (
            "--model s2v.modules.face_teacher.FaceTeacher",
            "FaceTeacher lacks network: set model.init_args.network",
        ),
        ("--model s2v.models.cpc.CPC", "model: s2v.models.cpc.CPC is no subclass of LightningModule"),
        (
            CPC.replace("s2v.models.cpc.CPC", "s2v.models.senet.SENet50"),
            "model.init_args.cpc: s2v.models.senet.SENet50 is no subclass of CPC",
        ),
        (
            "--model unwritten.Mine",
            "model: unwritten.Mine can't be imported: invalid syntax (unwritten.py, line 2)",
        ),
        (
            CPC.replace("s2v.models.cpc.CPC", "unwritten.Mine"),
            "model.init_args.cpc: unwritten.Mine can't be imported: invalid syntax (unwritten.py, line 2)",
        ),
        (
            COMPOSER + "--model.similarity_region mouth",
            "model.init_args.similarity_region: expected one of full, upper, lower, got mouth",
        ),
        (
            COMPOSER + "--model.similarity_region loewr",
            "model.init_args.similarity_region: expected one of full, upper, lower, got loewr: did you mean lower?",
        ),
        (
            COMPOSER + "--model.weights.syncc 0.1",
            "model.init_args.weights: LossWeights has no option 'syncc': did you mean sync?",
        ),
        (
            COMPOSER + "--model.weights.matchin 0.1",  # what argparse would take for matching
            "model.init_args.weights: LossWeights has no option 'matchin': did you mean matching?",
        ),
        (COMPOSER + "--model.weights.sync lots", "model.init_args.weights.sync: expected float, got lots"),
        (
            COMPOSER + "--model.weights.sync.x 1",
            "model.init_args.weights.sync: expected float, which has no key x",
        ),
        (
            COMPOSER + "--model.weightz.sync 1",
            "model: ComposerModule has no option 'weightz': did you mean weights?",
        ),
        (COMPOSER + "--model.target best", "model: ComposerModule has no option 'target'"),  # as stage 1 has
        (COMPOSER + "--model.weights 3", "model.init_args.weights: expected keys and values, got 3"),
        (COMPOSER + "--model.generator_lr fast", "model.init_args.generator_lr: expected float, got fast"),
        (
            COMPOSER + "--model.sync_discriminator 3",
            "model.init_args.sync_discriminator: expected a class, package.module.Class, got 3",
        ),
        (
            "--trainer.callbacks callbacks.generator_ema.GeneratorEMA --trainer.callbacks.dcay 0.5",
            "trainer.callbacks: GeneratorEMA has no option 'dcay': did you mean decay?",
        ),
        (
            "--trainer.callbacks callbacks.generator_ema.GeneratorEMA --trainer.callbacks.decay x",
            "trainer.callbacks.init_args.decay: expected float, got x",
        ),
        ("", "nothing given for model: add the configs that define it, --config FILE --config FILE"),
    ],
)
def test_one_line_that_names_key_fault_and_remedy(
    parser: TrainingParser, args: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "unwritten.py").write_text("\nclass = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
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
        (
            "data: {size: 2}\ntrainer: {}\ndata: {seed: 8}\n",
            "is not YAML: line 3, column 1: the key 'data' is in line 1 already: put both under one",
        ),
        ("data: {size: 2, size: 3}\n", "line 1, column 17: the key 'size' is in line 1 already"),
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
        read_configs(["fit", *form.format(path).split()])
    assert f"--config {path}" in str(caught.value) and line in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("stage", ["compose/compose", "distill/distill"])
def test_a_forgotten_representation_is_named(stage: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The commonest mistake, in both stages."""
    files = ("base/trainer", "data/crema_d", stage)
    experiments = REPOSITORY / "experiments"
    assert main(["fit", *(f"--config={experiments / file}.yaml" for file in files)]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and len(line) < 200
    assert line.endswith("add -c experiments/base/representation.yaml\n")


class FixedEncoder(cpc.CPC):
    """A speech encoder whose size is no argument."""

    def __init__(self) -> None:
        super().__init__(channels=8, hidden=8)


@pytest.mark.parametrize("stage", ["compose/compose", "distill/distill"])
def test_what_a_class_of_ones_own_does_not_take_is_named(
    stage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was told that there is no representation, whose file stood on the command line."""
    files = ("base/trainer", "data/crema_d", stage, "base/representation")
    configs = [f"--config={REPOSITORY / 'experiments' / file}.yaml" for file in files]
    inner = "model.init_args.representation.init_args"
    assert main(["fit", *configs, f"--{inner}.cpc={FixedEncoder.__module__}.FixedEncoder"]) == 2
    needed, given = f"{inner}.identity_head.init_args.in_dim", f"{inner}.cpc.init_args.hidden"
    assert capsys.readouterr().err == (
        f"s2v: error: the config's {needed} is {given}'s value, but that is not set: give {needed} a value of its own\n"
    )


def test_a_forgotten_stage_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    experiments = REPOSITORY / "experiments"
    files = ("base/trainer", "data/crema_d")
    assert main(["fit", *(f"--config={experiments / file}.yaml" for file in files)]) == 2
    assert "no config names a run_dir: add a stage's, such as -c" in capsys.readouterr().err


def test_a_misspelt_loss_weight_in_a_file_is_named_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.yaml").write_text("model:\n  init_args:\n    weights: {syncc: 0.1}\n")
    files = ("base/trainer", "data/crema_d", "compose/compose", "base/representation")
    configs = [f"--config={REPOSITORY / 'experiments' / file}.yaml" for file in files]
    assert main(["fit", *configs, f"--config={tmp_path / 'mine.yaml'}"]) == 2
    assert capsys.readouterr().err == (
        "s2v: error: model.init_args.weights: LossWeights has no option 'syncc': did you mean sync?\n"
    )


def test_a_good_config_passes(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("trainer:\n  max_epochs: ${model.lr}\n")
    read_configs(["fit", "--config", str(config)])
    # a key beside `<<` overrules the merged one
    config.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n")
    assert read_configs(["fit", "--config", str(config)])[str(config)]["b"] == {"x": 1, "y": 3}


def test_options_before_a_config_that_sets_them(tmp_path: Path) -> None:
    def overruled(args: list[str]) -> dict[str, str]:
        return overruled_options(args, read_configs(args))

    config = str(tmp_path / "config.yaml")
    Path(config).write_text("run_dir: runs/a\ntrainer: {max_steps: 4}\n")
    for form in (["-c", config], ["--config", config], [f"--config={config}"]):
        before = ["fit", "--run_dir", "runs/b", "--trainer.max_steps=4", "--seed_everything", "1", *form]
        assert overruled(before) == {"--run_dir": config}  # max_steps is the same
        assert overruled([*before, "--run_dir=runs/b"]) == {}
        assert overruled(["fit", *form, "--run_dir", "runs/b"]) == {}


def test_an_option_that_appends_is_overruled_by_a_whole_list_only(tmp_path: Path) -> None:
    config = str(tmp_path / "config.yaml")
    for key, overruled in (("callbacks+", {}), ("callbacks", {"--trainer.callbacks+": config})):
        Path(config).write_text(f"trainer:\n  {key}: [a.B]\n")
        args = ["fit", "--trainer.callbacks+=a.C", "--config", config]
        assert overruled_options(args, read_configs(args)) == overruled
