"""What a fit lacks is said before its loggers begin, so that no W&B run is left that holds nothing."""

from pathlib import Path

import pytest

from callbacks.test_report import TestReport
from data_modules.crema_d import CremaD
from s2v.cli import main
from s2v.errors import InputError
from s2v.training.early_check import check_early
from tests.experiments.combinations import arguments, tiny
from tests.experiments.conftest import options


@pytest.mark.parametrize(
    ("stage", "more", "line"),
    [
        (
            "distill",
            [],
            "identity teacher: no file at {folder}/identity_teacher/best.ckpt; train or fetch it first",
        ),
        (
            "distill",
            ["identity_teacher=vggface:{folder}/none.pth"],
            "identity teacher: no file at {folder}/none",
        ),
        (
            "distill",
            ["identity_teacher=vgface:{folder}/none.pth"],
            "identity teacher: unknown kind of face network 'vgface' in 'vgface:{folder}/none.pth': did you",
        ),
        (
            "distill",
            ["identity_teacher={folder}/empty"],
            "identity teacher: {folder}/empty is empty: download",
        ),
        ("compose", [], "stage 1: no file at {folder}/distill/best.ckpt; train or fetch it first"),
        (
            "compose",
            ["stage1_checkpoint=null"],
            "D_ID's face network: no file at {folder}/identity_teacher/best",
        ),
        (
            "s2f_sdfa",
            [],
            "voice encoder: no file at {folder}/voice_encoder/best.ckpt; train or fetch it first",
        ),
        (
            "voice_encoder",
            [],
            "face teacher: no file at {folder}/identity_teacher/best.ckpt; train or fetch it first",
        ),
        ("cpc", ["split=official"], "split 'official' needs every clip below a folder dev/ or test/"),
        (
            "identity_teacher",
            ["network.init_args.num_classes=4"],
            "the speaker teacher has 4 classes but the data has 3 (1001, 1002, 1003): set model.init_args.",
        ),
        ("cpc", ["batch_size=4000"], "batch_size 4000 on 1 device(s) is more than the "),
        ("cpc", ["cache_dir={folder}/nothing"], "no prepared clips in {folder}/nothing; run `s2v prepare"),
    ],
)
def test_what_is_missing_leaves_no_run(
    stage: str,
    more: list[str],
    line: str,
    crema_d_cache: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").touch()
    owner = "data" if stage == "cpc" else "model"
    changes = [f"--{owner}.init_args.{item}".replace("{folder}", str(tmp_path)) for item in more]
    fit = ["fit", *arguments(tiny(stage)), *options(stage, crema_d_cache, tmp_path), *changes]
    assert main(fit) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"s2v: error: {line.replace('{folder}', str(tmp_path))}")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


@pytest.mark.parametrize("judge", ["identity_judge", "emotion_judge", "syncnet", "lpips", "fid", "landmarks"])
def test_every_judge_of_a_report_is_missed_early(judge: str, tmp_path: Path) -> None:
    missing = str(tmp_path / "none.pth")
    report = TestReport()
    setattr(report, judge, missing)
    with pytest.raises(InputError, match=f": no file at {missing}; train or fetch it first"):
        check_early([report], "test", resuming=True)
    check_early([report], "fit", resuming=False)


def test_clips_that_the_fit_is_to_prepare_are_not_asked_about(tmp_path: Path) -> None:
    class Asking:
        def check_data(self, stage: str, data: CremaD) -> None:
            data.clips("train")

    unprepared = CremaD(str(tmp_path / "cache"), root=str(tmp_path / "corpus"))
    check_early([Asking(), unprepared], "fit", resuming=False)


def test_a_training_stopped_before_its_first_validation_is_named(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").touch()
    report = TestReport(identity_judge=str(tmp_path / "judge.pth"))
    with pytest.raises(InputError, match=r"no file at .*judge\.pth; train or fetch it first"):
        check_early([report], "test", resuming=True)
    report = TestReport(identity_judge=str(tmp_path / "best.ckpt"))
    with pytest.raises(
        InputError, match=r"best\.ckpt, whose training .*: go on with it from .*/last\.ckpt, or give"
    ):
        check_early([report], "test", resuming=True)


def test_a_test_without_its_judge_leaves_no_run(
    crema_d_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lpips = f"--trainer.callbacks.init_args.lpips={tmp_path}/none.pth"
    report = ["--trainer.callbacks+=callbacks.test_report.TestReport", lpips]
    cpc = [*arguments(tiny("cpc")), *options("cpc", crema_d_cache, tmp_path)]
    assert main(["test", *cpc, *report]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(
        f"s2v: error: LPIPS' AlexNet: no file at {tmp_path}/none.pth; train or fetch it first"
    )
    assert list(tmp_path.iterdir()) == []
