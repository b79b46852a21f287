"""What constructors refuse, through the real command line: one line, status 2."""

from pathlib import Path

import pytest
from jsonargparse import Namespace

from s2v.cli import main
from s2v.training.constructor_fault import explain_constructor
from tests.conftest import REPOSITORY

STAGES = {"distill": "distill/distill", "compose": "compose/compose"}
WANDB_LIST = """
trainer:
  logger:
    - class_path: lightning.pytorch.loggers.WandbLogger
      init_args: {offline: true, log_model: true}
"""


@pytest.mark.parametrize(
    ("stage", "options", "line"),
    [
        (
            "distill",
            "--data.init_args.window_frames 25",
            "data (CremaD): 16 pictures, 2 frames apart, do not fit in window_frames (25)",
        ),
        (
            "compose",
            "--model.init_args.identity_mixing 0.9",
            "model (ComposerModule): identity_mixing must be at least 0 and below 0.5, where nu is another's, got 0.9",
        ),
        (
            "compose",
            "--model.init_args.generator.init_args.image_size 100",
            "model.init_args.generator (Speech2VideoGenerator): image_size must be a multiple of 32, got 100",
        ),
        (
            "compose",
            "--trainer.callbacks.init_args.decay 3",
            "trainer.callbacks (GeneratorEMA): GeneratorEMA's decay must be at least 0 and below 1, got 3.0",
        ),
        (
            "distill",
            "--trainer.max_steps -7",
            "trainer.max_steps: `max_steps` must be a non-negative integer or -1 (infinite steps). You passed in -7.",
        ),
        (
            "distill",
            "--trainer.accelerator cpu --trainer.devices x",
            "trainer.devices: `devices` selected with `CPUAccelerator` should be an int > 0.",
        ),
        (
            "distill",
            "--model.init_args.lr -1",
            "model (DistillModule): lr must be 0 or more and finite, got -1.0",
        ),
        (
            "compose",
            "--model.init_args.weights.similarity .nan",
            "model (ComposerModule): weights.similarity must be 0 or more and finite, got nan",
        ),
        (
            "compose",
            "--model.init_args.generator.init_args.width 0",
            "model.init_args.generator (Speech2VideoGenerator): a width must be above 0 and finite, got 0.0",
        ),
        (
            "distill",
            "--config wandb.yaml",
            "Providing log_model=True and offline=True is an invalid configuration since model checkpoints cannot be "
            "uploaded in offline mode.",
        ),
    ],
)
def test_one_line_with_its_place(
    stage: str,
    options: str,
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("wandb.yaml").write_text(WANDB_LIST)
    files = ("base/trainer", "data/crema_d", STAGES[stage], "base/representation")
    configs = [f"--config={REPOSITORY / 'experiments' / file}.yaml" for file in files]
    assert main(["fit", *configs, *options.split()]) == 2
    said = [text for text in capsys.readouterr().err.splitlines() if not text.startswith("Seed set")]
    assert said == [f"s2v: error: {line}"]


class Refusing:
    def __init__(self) -> None:
        raise ValueError("nothing suits it")


def test_of_two_of_a_class_neither_is_named() -> None:
    one = Namespace(class_path=f"{__name__}.Refusing")
    with pytest.raises(ValueError, match="nothing suits it") as refused:
        Refusing()
    for config, line in (
        (Namespace(a=one), "a (Refusing): nothing suits it"),
        (Namespace(a=one, b=one), "Refusing: nothing suits it"),
    ):
        assert explain_constructor(refused.value, config) == line
