"""What a fit lacks is said before its loggers begin, so that no W&B run is left that holds nothing."""

from pathlib import Path

import pytest

from s2v.cli import main
from tests.experiments.combinations import arguments, tiny
from tests.experiments.conftest import options


@pytest.mark.parametrize(
    ("stage", "more", "line"),
    [
        ("distill", [], "identity teacher: no file at {folder}/identity_teacher/best.ckpt; train it first"),
        (
            "distill",
            ["identity_teacher=vggface:{folder}/none.pth"],
            "identity teacher: no file at {folder}/none",
        ),
        (
            "distill",
            ["identity_teacher={folder}/empty"],
            "identity teacher: {folder}/empty is empty: download",
        ),
        ("compose", [], "stage 1: no file at {folder}/distill/best.ckpt; train it first"),
        (
            "compose",
            ["stage1_checkpoint=null"],
            "D_ID's face network: no file at {folder}/identity_teacher/best",
        ),
        ("s2f_sdfa", [], "voice encoder: no file at {folder}/voice_encoder/best.ckpt; train it first"),
        ("voice_encoder", [], "face teacher: no file at {folder}/identity_teacher/best.ckpt; train it first"),
        ("cpc", ["split=official"], "split 'official' needs every clip below a folder dev/ or test/"),
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
