"""Each family of experiments in a minute: fit, test and what comes after, through the command line."""

import csv
import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import av
import pytest
import torch
from PIL import Image
from torch import Tensor

from data_modules.clip_cache import read_clip
from data_modules.clip_manifest import read_manifest
from s2v.batch import TalkingFaceBatch
from s2v.cli import main
from s2v.evaluation.clip_rows import CALIBRATION
from s2v.modules.sdfa import SDFAModule
from tests.conftest import BuildOnce
from tests.experiments.combinations import FITS, arguments, tiny
from tests.experiments.conftest import options

MEASURED = {
    "cpc": "info_nce",
    "identity_teacher": "accuracy",
    "emotion_teacher": "accuracy",
    "identity_judge": "accuracy",
    "emotion_judge": "accuracy",
    "syncnet": "prefers_true",
    "distill": "loss",
    "voice_encoder": "loss",
}
"""What the best checkpoint is chosen by, and a test logs too."""

SYSTEMS = {"speech2video", *CALIBRATION}
METRICS = {
    "ssim",
    "psnr",
    "ssim_mouth",
    "psnr_mouth",
    "sync_confidence",
    "sync_distance",
    "sync_offset",
    "sync_offset_abs",
    "identity_rank1",
    "identity_cosine",
    "emotion_accuracy",
    "emotion_macro_f1",
}


def logged(folder: Path, metric: str) -> list[float]:
    """Every value of a metric in the logs of a run's folder, fit and test."""
    found = []
    for path in folder.glob("csv/version_*/metrics.csv"):
        with path.open(newline="") as file:
            found += [float(row[metric]) for row in csv.DictReader(file) if row.get(metric)]
    return found


def saved(path: Path) -> dict[str, Any]:
    return torch.load(path, map_location="cpu", weights_only=True)


def run_test(folder: Path, *more: str) -> None:
    """`s2v test` as a user gives it: the config that the fit saved, and its best checkpoint."""
    config, best = str(folder / "config.yaml"), str(folder / "best.ckpt")
    assert main(["test", "--config", config, *more, "--ckpt_path", best]) == 0


@pytest.mark.parametrize("name", FITS)
def test_a_fit_saves_its_best_and_its_last_state(name: str, chain: Path) -> None:
    assert [saved(chain / name / f"{which}.ckpt")["global_step"] for which in ("best", "last")] == [4, 4]
    keys = saved(chain / name / "last.ckpt")["state_dict"]
    assert not [key for key in keys if "teacher" in key or "feature_network" in key]
    assert logged(chain / name, f"val/{MEASURED.get(name, 'ssim')}")


@pytest.mark.parametrize("name", MEASURED)
def test_what_was_fitted_is_tested(name: str, chain: Path) -> None:
    run_test(chain / name)
    assert logged(chain / name, f"test/{MEASURED[name]}")


def test_the_report_of_stage_2(chain: Path) -> None:
    folder = chain / "compose"
    run_test(folder, *arguments(["test/own_judges"]))
    assert {path.suffix for path in (folder / "report").iterdir()} == {
        ".json",
        ".csv",
        ".md",
        ".png",
        ".html",
    }
    report = json.loads((folder / "report" / "report.json").read_text())
    assert set(report["systems"]) == SYSTEMS
    for values in report["systems"].values():
        assert set(values) >= METRICS | {"scored", "total"}
        assert values["total"] == 3
    assert report["systems"]["ground_truth"]["ssim"]["mean"] == pytest.approx(1.0)
    assert all(report["systems"]["speech2video"][name]["mean"] is not None for name in METRICS)
    judges = {name: judge for name, judge in report["meta"]["judges"].items() if judge}
    assert {name: judge["teacher_used_as_judge"] for name, judge in judges.items()} == {
        "identity": False,
        "emotion": False,
        "sync": False,
    }
    assert logged(folder, "test/speech2video/ssim")


def test_a_report_without_judges(chain: Path, tmp_path: Path) -> None:
    folder = chain / "compose"
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.filterwarnings("default", "(?!nothing was measured)")
        run_test(folder, *arguments(["test/pixels"]), "--run_dir", str(tmp_path))
    systems = json.loads((tmp_path / "report" / "report.json").read_text())["systems"]
    assert {"ssim", "psnr", "sharpness", "motion"} <= systems["speech2video"].keys()
    assert not {"identity_rank1", "emotion_accuracy", "sync_confidence"} & systems["speech2video"].keys()
    with pytest.warns(UserWarning, match="nothing was measured, no callback of this test reports"):
        run_test(folder, "--run_dir", str(tmp_path / "nothing"))


def test_sample_videos_while_training(chain: Path) -> None:
    videos = sorted((chain / "compose" / "samples" / "step-000004").glob("*.mp4"))
    assert len(videos) == 4
    with av.open(str(videos[0])) as video:
        stream = video.streams.video[0]
        assert (stream.width, stream.height) == (128, 64)  # real | generated
        assert video.streams.audio


def test_the_finished_checkpoint_makes_a_video_from_speech_alone(
    chain: Path, crema_d_corpus: Path, tmp_path: Path
) -> None:
    shutil.copy(chain / "compose" / "best.ckpt", tmp_path / "model.ckpt")
    speech = sorted((crema_d_corpus / "AudioWAV").glob("*.wav"))[0]
    video = tmp_path / "talking.mp4"
    command = ["export", "--checkpoint", str(tmp_path / "model.ckpt"), "--speech", str(speech)]
    assert main([*command, "--output", str(video), "--device", "cpu", "--threads", "1"]) == 0
    with av.open(str(speech)) as sound:
        seconds = sum(frame.samples for frame in sound.decode(audio=0)) / sound.streams.audio[0].rate
    with av.open(str(video)) as made:
        pictures = [picture.to_ndarray(format="rgb24") for picture in made.decode(video=0)]
    assert len(pictures) == round(25 * seconds)
    assert pictures[0].shape == (64, 64, 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sdfa", "s2f_sdfa"])
def test_a_baseline_is_tested_by_the_same_report(name: str, chain: Path) -> None:
    run_test(chain / name, *arguments(["test/own_judges"]))
    report = json.loads((chain / name / "report" / "report.json").read_text())
    system = {"sdfa": "SDFA", "s2f_sdfa": "S2F+SDFA"}[name]
    assert set(report["systems"]) == {system} | SYSTEMS - {"speech2video"}
    assert all(report["systems"][system][metric]["mean"] is not None for metric in METRICS)


@pytest.mark.slow
def test_sdfa_with_another_speakers_frame(
    chain: Path, crema_d_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list is written by the first test and read by the second."""
    given: list[tuple[str, Tensor]] = []
    test_step = SDFAModule.test_step

    def remember(module: SDFAModule, batch: TalkingFaceBatch, batch_idx: int) -> dict[str, Tensor]:
        given.extend(zip(batch["clip_id"], batch["still"].clone(), strict=True))
        return test_step(module, batch, batch_idx)

    monkeypatch.setattr(SDFAModule, "test_step", remember)
    mismatch = tmp_path / "mismatch.csv"
    lists, texts = [], []
    for run in ("first", "second"):
        where = ["--run_dir", str(tmp_path / run)]
        files = arguments(["baselines/mismatch"])
        run_test(
            chain / "sdfa",
            *files,
            "--trainer.callbacks.init_args.list_file",
            str(mismatch),
            *arguments(["test/own_judges"]),
            *where,
        )
        lists.append(mismatch.read_text())
        report = json.loads((tmp_path / run / "report" / "report.json").read_text())
        texts.append(report["systems"]["SDFA(mismatch)"]["ssim"]["mean"])
    assert lists[0] == lists[1] and texts[0] == texts[1]
    for row in csv.DictReader(lists[0].splitlines()):
        assert row["clip_id"].split("_")[0] != row["still_of"].split("_")[0]
    still_of = {row["clip_id"]: row["still_of"] for row in csv.DictReader(lists[0].splitlines())}
    files = {row.clip_id: row.cache_file for row in read_manifest(crema_d_cache / "manifest.csv")}
    assert len(given) == 2 * 3  # limit_test_batches, twice
    for clip_id, still in given:
        frames, _ = read_clip(crema_d_cache / files[still_of[clip_id]], 0, 1)
        assert torch.equal(still, torch.from_numpy(frames[0].copy())), clip_id


@pytest.mark.parametrize("name", ["sdfa", "s2f_sdfa"])
def test_a_baseline_makes_a_video(name: str, chain: Path, crema_d_corpus: Path, tmp_path: Path) -> None:
    speech = sorted((crema_d_corpus / "AudioWAV").glob("*.wav"))[0]
    Image.new("RGB", (80, 80), "tan").save(tmp_path / "face.png")
    picture = ["--image", str(tmp_path / "face.png")] if name == "sdfa" else []
    command = ["export", "--checkpoint", str(chain / name / "best.ckpt"), "--speech", str(speech), *picture]
    assert main([*command, "--output", str(tmp_path / "a.mp4"), "--device", "cpu", "--threads", "1"]) == 0
    with av.open(str(tmp_path / "a.mp4")) as video:
        stream = video.streams.video[0]
        assert (stream.width, stream.height) == (64, 64)


@pytest.mark.slow
@pytest.mark.parametrize("name", FITS)
def test_every_fit_runs_in_the_precision_that_gpus_with_bfloat16_take(
    name: str, chain: Path, crema_d_cache: Path, tmp_path: Path
) -> None:
    where = ["--run_dir", str(tmp_path), "--trainer.max_steps", "2", "--trainer.precision", "bf16-mixed"]
    assert main(["fit", *arguments(tiny(name)), *options(name, crema_d_cache, chain), *where]) == 0
    weights = saved(tmp_path / "last.ckpt")["state_dict"]
    assert all(torch.isfinite(value).all() for value in weights.values() if value.is_floating_point())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["compose", "sdfa", "s2f_sdfa"])
def test_resuming_a_gan_equals_never_stopping_it(
    name: str, chain: Path, crema_d_cache: Path, tmp_path: Path
) -> None:
    def fit(run: str, steps: int, *more: str) -> dict[str, Any]:
        where = ["--run_dir", str(tmp_path / run), "--trainer.max_steps", str(steps)]
        epochs = ["--trainer.limit_train_batches", "2", "--trainer.limit_val_batches", "1"]
        files = arguments(tiny(name))
        assert main(["fit", *files, *options(name, crema_d_cache, chain), *where, *epochs, *more]) == 0
        return saved(tmp_path / run / "last.ckpt")

    whole = fit("whole", 4)
    assert fit("parts", 2)["global_step"] == 2
    parts = fit("parts", 4, "--ckpt_path", str(tmp_path / "parts" / "last.ckpt"))
    assert parts["global_step"] == whole["global_step"] == 4
    torch.testing.assert_close(parts["state_dict"], whole["state_dict"], rtol=0, atol=0)
    torch.testing.assert_close(parts["optimizer_states"], whole["optimizer_states"], rtol=0, atol=0)


@pytest.fixture(scope="session")
def voxceleb2_corpus(build_once: BuildOnce) -> Path:
    """Four drawn speakers in VoxCeleb2's layout, one of them in test/, five clips each, 64 x 64."""
    from data_modules.synthetic.corpus import write_corpus

    def fill(folder: Path) -> None:
        write_corpus(folder, "voxceleb2", speakers=4, clips_per_speaker=5, seed=0, size=64)

    return build_once("voxceleb2_corpus", fill)


@pytest.mark.parametrize(
    ("data", "below", "speakers"),
    [("voxceleb2", "", 4), pytest.param("video_folder", "dev/mp4", 3, marks=pytest.mark.slow)],
)
def test_kinds_of_corpora_without_emotions(
    data: str, below: str, speakers: int, voxceleb2_corpus: Path, tmp_path: Path
) -> None:
    """The data module prepares the corpus itself where it is told its root."""
    where = options("cpc", tmp_path / "cache", tmp_path)
    root = ["--data.init_args.root", str(voxceleb2_corpus / below)]
    assert main(["fit", *arguments(tiny("cpc", data)), *where, *root]) == 0
    assert saved(tmp_path / "cpc" / "last.ckpt")["global_step"] == 4
    run_test(tmp_path / "cpc")
    assert logged(tmp_path / "cpc", "test/info_nce")
    with (tmp_path / "cache" / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["speaker"] for row in rows}) == speakers
    genders = {row["gender"] for row in rows}
    assert genders == ({"male", "female"} if data == "voxceleb2" else {""})
    assert {row["status"] for row in rows} == {"ok"} and {row["emotion"] for row in rows} == {""}
