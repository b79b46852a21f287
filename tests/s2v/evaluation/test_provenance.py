"""Hashes, versions and who taught whom."""

import hashlib
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest
import torch

from s2v.evaluation.judges import FaceJudge, SyncJudge
from s2v.evaluation.provenance import describe_judge, files_trained_with, git_commit, package_versions
from s2v.files.file_hash import sha256_of_file, sha256_of_list
from s2v.models.mouth_syncnet import MouthSyncNet
from s2v.models.syncnet import SyncNet


def judge_of(path: Path) -> FaceJudge:
    return FaceJudge(torch.nn.Identity(), [], str(path), sha256_of_file(str(path)), "somewhere")


def test_hashes() -> None:
    this = Path(__file__)
    assert sha256_of_file(str(this)) == hashlib.sha256(this.read_bytes()).hexdigest()
    assert (
        sha256_of_list(["b", "a"]) == sha256_of_list(iter(["a", "b"])) == hashlib.sha256(b"a\nb").hexdigest()
    )
    assert sha256_of_list(["a"]) != sha256_of_list(["a", "b"])


def test_versions_name_what_decides_the_numbers() -> None:
    versions = package_versions()
    assert versions["torch"] == torch.__version__.split("+")[0]
    assert {"python", "s2v", "torchmetrics", "decord"} <= set(versions)
    # they crop, align and resample; the last two judge where they are installed
    assert {"opencv-python-headless", "torchvision", "torchaudio"} <= set(versions)
    for package in ("onnxruntime", "dlib-bin"):
        assert (package in versions) == any(True for _ in distributions(name=package))


def test_commit_is_this_clones_or_none() -> None:
    commit = git_commit()
    if (Path(__file__).parents[3] / ".git").exists():
        assert commit is not None and len(commit.removesuffix("+changes")) == 40
    else:
        assert commit is None


def test_teachers_are_found_through_the_chain_of_checkpoints(tmp_path: Path) -> None:
    teacher, stranger = tmp_path / "teacher.pth", tmp_path / "stranger.pth"
    teacher.write_bytes(b"teacher")
    stranger.write_bytes(b"stranger")
    stage1, stage2 = tmp_path / "stage1.ckpt", {"networks": {"list": [1, None]}, "stage1": ""}
    torch.save({"hyper_parameters": {"emotion_teacher": f"senet:{teacher}", "lr": 1e-3}}, stage1)
    stage2["stage1"] = str(stage1)
    taught = files_trained_with(stage2)
    assert taught == {sha256_of_file(str(stage1)), sha256_of_file(str(teacher))}
    assert describe_judge(judge_of(teacher), taught)["teacher_used_as_judge"] is True  # type: ignore[index]
    assert describe_judge(judge_of(stranger), taught)["teacher_used_as_judge"] is False  # type: ignore[index]


def test_a_copy_of_the_teacher_is_still_the_teacher(tmp_path: Path) -> None:
    teacher, copy = tmp_path / "teacher.pth", tmp_path / "judge.pth"
    teacher.write_bytes(b"same weights")
    copy.write_bytes(b"same weights")
    found = describe_judge(judge_of(copy), files_trained_with({"identity_teacher": str(teacher)}))
    assert found is not None and found["teacher_used_as_judge"] is True


def test_where_the_chain_is_broken_it_is_not_known(tmp_path: Path) -> None:
    judge = tmp_path / "judge.pth"
    judge.write_bytes(b"weights")
    broken = tmp_path / "broken.ckpt"
    broken.write_bytes(b"cut short")
    torch.save([torch.zeros(2)], tmp_path / "list.ckpt")
    for parameters in (
        {"stage1": str(tmp_path / "gone.ckpt")},
        {"teacher": "senet:/gone.pth"},
        {"teacher": "vggface:/gone.safetensors"},
        {"pretrained": "/gone.dat"},
        {"s": str(broken)},
        {"s": str(tmp_path / "list.ckpt")},
    ):
        taught = files_trained_with(parameters)
        assert taught is None
        found = describe_judge(judge_of(judge), taught)
        assert found is not None and found["teacher_used_as_judge"] is None


def test_a_judge_of_lips_says_if_it_is_compared_with_zeros() -> None:
    networks = {"zeros": SyncNet(image_size=64, width=1 / 64), "none": MouthSyncNet()}
    for padding, network in networks.items():
        found = describe_judge(SyncJudge(network, "sync.ckpt", "0" * 64, "somewhere"), None)
        assert found is not None and found["padding"] == padding
    face = describe_judge(FaceJudge(torch.nn.Identity(), [], "face.ckpt", "0" * 64, "somewhere"), None)
    assert face is not None and "padding" not in face


def test_no_judge_no_description() -> None:
    assert describe_judge(None, set()) is None
    assert files_trained_with({"lr": 1e-3, "region": "lower", "nothing": None}) == set()


def test_a_teachers_class_in_a_checkpoint_is_never_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hostile_teacher.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    weights, checkpoint = tmp_path / "eyes.pt", tmp_path / "stage1.ckpt"
    weights.write_bytes(b"eyes")
    torch.save(
        {"hyper_parameters": {"identity_teacher": f"class:hostile_teacher.Eyes:{weights}"}}, checkpoint
    )
    taught = files_trained_with({"stage1_checkpoint": str(checkpoint)})
    assert taught == {sha256_of_file(str(weights)), sha256_of_file(str(checkpoint))}
    weights.unlink()
    assert files_trained_with({"stage1_checkpoint": str(checkpoint)}) is None
    assert "hostile_teacher" not in sys.modules


def test_teachers_with_options_or_a_detector_are_found(tmp_path: Path) -> None:
    face, small = tmp_path / "face.onnx", tmp_path / "small.pt"
    face.write_bytes(b"face")
    small.write_bytes(b"small")
    taught = {"identity": f"onnx:{face}?size=112&order=bgr", "other": f"mobilefacenet:{small}@yunet.onnx"}
    assert files_trained_with(taught) == {sha256_of_file(str(face)), sha256_of_file(str(small))}
    face.unlink()
    assert files_trained_with(taught) is None
