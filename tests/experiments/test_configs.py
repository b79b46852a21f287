"""Every file below experiments/ is parsed as `s2v fit` parses it, and its classes are built."""

import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from lightning.pytorch.callbacks import ModelCheckpoint

from s2v.losses.adversarial import ADVERSARIAL_LOSSES
from s2v.modules.composer import ComposerModule
from s2v.modules.distill import DistillModule
from s2v.training.training_cli import TrainingCLI
from tests.experiments.combinations import (
    ABLATIONS,
    COMBINATIONS,
    EXPERIMENTS,
    FITS,
    arguments,
    tiny,
)


class BuiltOnly(TrainingCLI):
    """`s2v fit` up to the point where it would train."""

    def _run_subcommand(self, subcommand: str) -> None:
        pass


@dataclass
class Built:
    """What a combination of files comes to."""

    settings: Any
    model: Any
    datamodule: Any
    trainer: Any


Build = Callable[..., Built]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Build]:
    """`build(combination, *more_arguments)`: by one parser, and each only once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("configs"))  # loggers make their folders
        cli = BuiltOnly(["fit", *arguments(COMBINATIONS["cpc"])])

        @cache
        def once(name: str, *more: str) -> Built:
            cli.parse_arguments(cli.parser, ["fit", *arguments(COMBINATIONS[name]), *more])
            cli.instantiate_classes()
            return Built(cli.config["fit"], cli.model, cli.datamodule, cli.trainer)

        yield once


def folders(built: Built) -> set[Path]:
    """Where the checkpoints go."""
    callbacks = built.trainer.checkpoint_callbacks
    return {Path(c.dirpath) for c in callbacks if isinstance(c, ModelCheckpoint) and c.dirpath}


@pytest.mark.parametrize("name", COMBINATIONS)
def test_parsed_and_built(name: str, build: Build) -> None:
    built = build(name)
    assert type(built.model).__name__ == built.settings.model.class_path.rpartition(".")[2]
    assert type(built.datamodule).__name__ == built.settings.data.class_path.rpartition(".")[2]
    if built.settings.run_dir is not None:
        assert Path(built.settings.run_dir).parent == Path(built.settings.trainer.default_root_dir)
        # a test by the demo's report writes no checkpoint
        wanted = set() if name == "demo test" else {Path(built.settings.run_dir).absolute()}
        assert folders(built) == wanted


def test_no_file_is_left_out() -> None:
    there = {str(path.relative_to(EXPERIMENTS).with_suffix("")) for path in EXPERIMENTS.rglob("*.y*ml")}
    tried = [*COMBINATIONS.values(), *(tiny(name) for name in FITS)]
    parsed = {name for files in tried for name in files}
    assert {name for name in there - parsed if not name.startswith(("sweeps/", "table1/"))} == set()


def test_the_readmes_files_are_there() -> None:
    named = re.findall(r"\$E/([\w/]+\.yaml)", (EXPERIMENTS / "README.md").read_text(encoding="utf-8"))
    assert len(named) > 10
    assert [name for name in named if not (EXPERIMENTS / name).is_file()] == ["ablations/NAME.yaml"]


def test_a_teacher_of_identity_knows_the_unseen_actors(build: Build) -> None:
    assert build("distill, unseen actors").datamodule.split == "unseen"
    teacher = build("identity_teacher, unseen actors")
    assert teacher.datamodule.split == "seen"
    assert teacher.settings.run_dir == "runs/crema_d_unseen/identity_teacher"
    unseen = build("compose, unseen real faces")
    assert unseen.datamodule.split == "unseen"
    assert unseen.settings.run_dir == "runs/real_faces_128_unseen/compose"


def test_a_split_by_recording_has_runs_of_its_own(build: Build) -> None:
    built = build("cpc by recording")
    assert (built.datamodule.split, built.settings.run_dir) == ("recordings", "runs/voxceleb2_recordings/cpc")


@pytest.mark.parametrize("teachers", ["", ", own teachers", ", speaker_encoder", ", hubert"])
def test_the_two_stages_agree_about_sizes(teachers: str, build: Build) -> None:
    first: DistillModule = build(f"distill{teachers}").model
    second: ComposerModule = build(f"compose{teachers}").model
    names = [{k: v.shape for k, v in m.representation.state_dict().items()} for m in (first, second)]
    assert names[0] == names[1]
    identity, emotion = (1024, 6) if "own" in teachers else (4096, 8)
    assert (first.representation.identity_head.out_dim, first.representation.emotion_head.out_dim) == (
        identity,
        emotion,
    )
    assert second.generator.identity_branch.seed.in_features == identity
    assert second.generator.frame_decoder.seed.in_features == (768 if "hubert" in teachers else 256) + emotion
    assert second.generator.identity_branch.map_channels == (
        [128, 128, 64] if "own" in teachers else [512, 512, 256]
    )
    assert second.image_size == 128


def test_own_teachers_are_as_wide_as_the_stages_expect(build: Build) -> None:
    identity = build("identity_teacher").model.face.network
    emotion = build("emotion_teacher").model.face.network
    representation = build("distill, own teachers").model.representation
    generator = build("compose, own teachers").model.generator
    assert identity.identity_dim == representation.identity_head.out_dim
    assert emotion.classifier.out_channels == representation.emotion_head.out_dim
    assert list(identity.map_channels)[::-1] == generator.identity_branch.map_channels


OWN = "tests.experiments.own_networks"


def test_an_overlay_that_exchanges_a_class_keeps_what_was_interpolated(build: Build, tmp_path: Path) -> None:
    (tmp_path / "overlay.yaml").write_text(f"model: {{class_path: {OWN}.OwnComposer}}")
    overlay = ["--config", str(tmp_path / "overlay.yaml"), "--data.init_args.window_frames", "20"]
    own, plain = build("compose, own teachers", *overlay), build("compose, own teachers")
    settings = [dict(built.settings.model.init_args) for built in (own, plain)]
    assert settings[0].pop("window_frames") == own.model.window_frames == 20
    assert settings[1].pop("window_frames") == 40
    assert settings[0] == settings[1]


def test_an_option_that_exchanges_a_network_keeps_what_was_interpolated(build: Build) -> None:
    generator, sync = "--model.init_args.generator", "--model.init_args.sync_discriminator"
    for option in (generator, f"{generator}.class_path"):
        own = build("compose, own teachers", option, f"{OWN}.OwnGenerator", sync, f"{OWN}.OwnSync")
        plain = build("compose, own teachers")
        assert type(own.model.generator).__name__ == "OwnGenerator"
        for name in ("generator", "sync_discriminator"):
            assert (
                own.settings.model.init_args[name].init_args == plain.settings.model.init_args[name].init_args
            )


def test_networks_of_ones_own_that_share_arguments_with_those_they_replace(build: Build) -> None:
    """Arguments of the same name stay, the others go."""
    options = [
        f"--model.init_args.{role}_discriminator={OWN}.Own{role.title()}Discriminator"
        for role in ("frame", "sync", "identity")
    ]
    options += [
        "--model.init_args.identity_discriminator.init_args.channels=16",
        "--model.init_args.weights.matching=0",  # the own D_fr shows no maps
    ]
    built = build("compose, tiny", *options)
    found = {name: type(network).__name__ for name, network in built.model.discriminators.items()}
    assert found == {name: f"Own{name.title()}Discriminator" for name in ("identity", "frame", "sync")}
    assert dict(built.settings.model.init_args.sync_discriminator.init_args) == {
        "context_dim": 64,
        "gain": 1.0,
    }


def test_the_papers_settings(build: Build) -> None:
    built = build("compose")
    assert built.model.learning_rates == {"generator": 3e-4, "identity": 3e-4, "frame": 1e-4, "sync": 1e-5}
    assert built.model.similarity_region == "full" and built.model.weights.mouth == 3
    assert built.settings.trainer.max_epochs == 100
    assert build("distill").model.normalised_weight == 0.025


@pytest.mark.parametrize(
    ("name", "epochs"), [("sdfa", 100), ("s2f_sdfa", 100), ("s2f_sdfa, learning rate decay", 30)]
)
def test_the_sum_of_the_baselines_rates_over_a_fit(name: str, epochs: float, build: Build) -> None:
    """In epochs at full rate: all of them, as stage 2 has; by the published schedule less than a third."""
    built = build(name)
    optimizers, schedulers = built.model.configure_optimizers()
    sums = [0.0, 0.0]
    for _ in range(built.settings.trainer.max_epochs):
        for place, (optimizer, scheduler) in enumerate(zip(optimizers[:2], schedulers, strict=True)):
            sums[place] += optimizer.param_groups[0]["lr"] / optimizer.defaults["lr"]
            optimizer.step()
            scheduler.step()
    assert sums == pytest.approx([epochs, epochs], rel=1e-3)
    assert build("compose").model.scheduler is None
    assert build("compose").settings.trainer.max_epochs == built.settings.trainer.max_epochs


def test_the_real_faces_sdfa_decays_as_it_was_measured(build: Build) -> None:
    rates = [(m.decay_after, m.decay) for m in (build(f"real {n}").model for n in ("sdfa", "s2f_sdfa"))]
    assert rates == [(50, 0.9)] * 2
    assert [build(f"real sdfa {of}").model.decay_after for of in ("on a GPU", "unseen")] == [89, 69]


SEEDED = ["cpc", "cpc on voxceleb2", "cpc on video_folder", "cpc on synthetic", "demo cpc", "real cpc"]


@pytest.mark.parametrize("name", [*SEEDED, "demo identity_teacher", "demo emotion_teacher"])
def test_another_seed_is_the_datas_too(name: str, build: Build) -> None:
    assert build(name).datamodule.seed == 0
    built = build(name, "--seed_everything", "3")
    assert built.datamodule.seed == built.settings.data.init_args.seed == 3
    (random,) = [c for c in built.trainer.callbacks if type(c).__name__ == "ReproducibleRandomness"]
    assert random.seed == 3


def test_every_corpus_takes_the_runs_seed() -> None:
    """Also those of the files that the test above does not build."""
    parts = [
        yaml.safe_load(path.read_text(encoding="utf-8")).get("data", {})
        for path in EXPERIMENTS.rglob("*.yaml")
    ]
    seeds = [part["init_args"].get("seed") for part in parts if "class_path" in part]
    assert seeds == ["${seed_everything}"] * 7


def test_options_reach_what_refers_to_them(build: Build) -> None:
    moved = ["--run_dir", "runs/debug/second", "--data.init_args.image_size", "64"]
    built = build("compose, tiny", *moved, "--trainer.callbacks.init_args.decay", "0")
    assert folders(built) == {Path("runs/debug/second").absolute()}
    assert {logger.save_dir for logger in built.trainer.loggers} == {"runs/debug/second"}
    assert built.model.stage1_checkpoint == "runs/debug/distill/best.ckpt"  # what it reads stays
    assert built.model.image_size == 64
    assert built.model.discriminators["sync"].picture[-1].in_features == 32 * 2 * 2
    (average,) = [c for c in built.trainer.callbacks if type(c).__name__ == "GeneratorEMA"]
    assert average.decay == 0


CHANGED: dict[str, Callable[[Any], bool]] = {
    "emotion_embedding": lambda m: (
        m.emotion_feature == "embedding" and m.representation.emotion_head.out_dim == 2048
    ),
    "eq3_as_printed": lambda m: m.target == "student",
    "eq3_temperature_2": lambda m: m.temperature == 2.0,
    "finetune_cpc": lambda m: (
        m.finetune_cpc and all(p.requires_grad for p in m.representation.cpc.parameters())
    ),
    "context_exchange": lambda m: m.context_exchange > 0,
    "frame_augmentation": lambda m: m.frame_augmentation is not None,
    "frames_per_clip_1": lambda m: m.frames_per_clip == 1,
    "full_generator": lambda m: (
        not m.generator.frame_decoder.subpixel and m.generator.frame_decoder.to_rgb[0].in_channels == 32
    ),
    "hinge": lambda m: m.adversarial is ADVERSARIAL_LOSSES["hinge"],
    "learning_rate_decay": lambda m: (m.decay_after, m.decay) == (20, 0.9),
    "paper": lambda m: (
        CHANGED["paper_losses"](m)
        and CHANGED["full_generator"](m)
        and (m.similarity_reduction, m.similarity_region) == ("sum", "lower")
    ),
    "paper_losses": lambda m: (
        set(asdict(m.weights).values()) == {1.0, 0.0}
        and m.weights.mouth == m.weights.matching == 0
        and m.similarity_region == "lower"
    ),
    "region_lower": lambda m: m.similarity_region == "lower",
    "region_upper": lambda m: m.similarity_region == "upper",
    "similarity_sum": lambda m: (m.similarity_reduction, m.similarity_region) == ("sum", "lower"),
    "without_feature_matching": lambda m: m.weights.matching == 0,
    "without_frame_adversary": lambda m: m.weights.frame == m.weights.matching == 0,
    "without_gradient": lambda m: m.weights.gradient == 0,
    "perceptual": lambda m: m.weights.perceptual == 1,
    "pose_code": lambda m: m.generator.pose is not None and m.generator.frame_decoder.reached is not None,
    "without_identity_adversary": lambda m: m.weights.identity == 0,
    "without_similarity": lambda m: m.weights.similarity == 0,
    "without_sync_adversary": lambda m: m.weights.sync == 0,
}


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_changes_what_it_names_and_goes_to_a_folder_of_its_own(name: str, build: Build) -> None:
    of = ABLATIONS[name].split(",")[0]
    assert CHANGED[name](build(f"ablations of {ABLATIONS[name]}").model)
    assert not CHANGED[name](build(f"{of}, tiny").model)
    lines = (EXPERIMENTS / f"ablations/{name}.yaml").read_text(encoding="utf-8").splitlines()
    overlay = yaml.safe_load("\n".join(lines))
    assert lines[0].startswith("# ") and len(lines) <= 8
    assert overlay["run_dir"] == f"${{trainer.default_root_dir}}/{of}_{name}"
    assert set(overlay) == {"run_dir", "model"}
