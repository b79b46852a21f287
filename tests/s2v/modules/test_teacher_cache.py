"""Stage 1 on cached teacher features: the same losses, no teacher at work, and nothing stale."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from data_modules import SyntheticFaces
from s2v.errors import InputError
from s2v.models.face_network import FaceNetwork
from s2v.models.mobilefacenet import MobileFaceNet
from s2v.models.students import StudentHead
from s2v.modules.clip_tensors import fingerprint
from s2v.modules.face_teacher import FaceTeacher
from s2v.modules.teacher_cache import TeacherCache, filled_teacher_cache
from tests.conftest import fill_disk
from tests.s2v.modules.own_faces import Colours
from tests.s2v.modules.small_faces import trainer
from tests.s2v.modules.small_modules import distill


def faces(cache: Path, **settings: Any) -> SyntheticFaces:
    defaults: dict[str, Any] = {"num_frames": 4, "frame_step": 2, "window_frames": 20, "batch_size": 4}
    return SyntheticFaces(
        str(cache), split="seen", image_size=64, num_workers=0, max_clips=6, **defaults | settings
    )


class Logged(list[float]):
    """`train/loss` of each step, and `val/loss` of each epoch."""

    def of(self, folder: Path, cache: Path, **settings: Any) -> "Logged":
        import lightning.pytorch as pl

        class Keep(pl.Callback):
            def on_train_batch_end(_, trainer: Any, *__: Any) -> None:
                self.append(trainer.callback_metrics["train/loss"].item())

            def on_validation_end(_, trainer: Any, *__: Any) -> None:
                self.append(trainer.callback_metrics["val/loss"].item())

        torch.manual_seed(1)
        fit = trainer(folder, Keep(), max_epochs=2, limit_val_batches=None, use_distributed_sampler=False)
        fit.fit(distill(**settings), datamodule=faces(cache))
        return self


def test_the_losses_are_those_of_the_teachers_themselves(
    teachers: dict[str, Any], crema_d_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = Logged().of(tmp_path, crema_d_cache, frames_per_clip=2, **teachers)
    assert len(live) == 4  # two epochs: a full batch of four of six clips, and validation
    kept = tmp_path / "teachers"
    filling = Logged().of(tmp_path, crema_d_cache, frames_per_clip=2, teacher_cache=str(kept), **teachers)
    assert filling == pytest.approx(live, rel=1e-5)
    files = {path: path.stat().st_mtime_ns for path in kept.rglob("*.safetensors")}
    assert len(files) == 12  # six clips of training, six of validation

    def no_pictures(*_: Any) -> None:
        raise AssertionError("a teacher looked at pictures although its features are cached")

    monkeypatch.setattr(FaceTeacher, "forward", no_pictures)
    warm = Logged().of(tmp_path, crema_d_cache, frames_per_clip=2, teacher_cache=str(kept), **teachers)
    assert warm == filling
    assert {path: path.stat().st_mtime_ns for path in kept.rglob("*.safetensors")} == files


def test_other_teachers_or_pixels_are_other_features(tmp_path: Path) -> None:
    one, other = nn.Linear(2, 2), nn.Linear(2, 2)
    assert fingerprint({"identity": one}, ["a"]) == fingerprint({"identity": one}, ["a"])
    names = {
        fingerprint({"identity": one}, ["a"]),
        fingerprint({"identity": other}, ["a"]),
        fingerprint({"identity": one}, ["b"]),
        fingerprint({"emotion": one}, ["a"]),
    }
    assert len(names) == 4
    plain, positive = StudentHead(2, 2, 2), StudentHead(2, 2, 2, non_negative=True)
    positive.load_state_dict(plain.state_dict())  # a ReLU has no weights, and changes every number below zero
    assert fingerprint({"nu": plain}, []) != fingerprint({"nu": positive}, [])
    cropped, whole = MobileFaceNet(), MobileFaceNet(face_box=(0.0, 0.0, 1.0, 1.0))
    whole.load_state_dict(cropped.state_dict())
    assert fingerprint({"nu": cropped}, []) != fingerprint({"nu": whole}, [])
    assert fingerprint({"nu": plain}, []) == fingerprint({"nu": plain.train()}, [])
    cache = TeacherCache(str(tmp_path), "t")
    assert cache.missing({"clip": "source 64"}) == ["clip"]
    cache.write("clip", nu=torch.ones(3), mu=torch.arange(8.0).reshape(4, 2))
    assert cache.missing({"clip": "source 64"}) == []
    nu, mu = cache.read("clip", nu=..., mu=torch.tensor([3, 0]))
    assert nu.tolist() == [1, 1, 1] and mu.tolist() == [[6, 7], [0, 1]]
    assert cache.missing({"clip": "source 128"}) == ["clip"]
    assert TeacherCache(str(tmp_path), "u").missing({"clip": "source 64"}) == ["clip"]


def test_ranks_share_what_is_missing_and_count_the_datas_frames(crema_d_cache: Path, tmp_path: Path) -> None:
    data = faces(crema_d_cache)
    rows = data.prepared_clips().rows
    rows.update({name: replace(row, fps=50) for name, row in rows.items()})
    colours: dict[str, nn.Module] = {"identity": FaceNetwork(Colours()), "emotion": FaceNetwork(Colours())}
    files = []
    for rank in (0, 1):
        folder = tmp_path / str(rank)
        strategy = SimpleNamespace(barrier=lambda name: None)
        fit: Any = SimpleNamespace(datamodule=data, global_rank=rank, world_size=2, strategy=strategy)
        cache = filled_teacher_cache(str(folder), fit, colours, "logits", [], torch.device("cpu"))
        assert cache.fps == 50
        files.append({path.relative_to(folder) for path in folder.rglob("*.safetensors")})
    assert [len(of_rank) for of_rank in files] == [6, 6] and len(files[0] | files[1]) == 12


def test_another_output_or_source_of_the_same_weights_is_kept_apart(
    crema_d_cache: Path, tmp_path: Path
) -> None:
    """Logits in the place of embeddings, or of another size of picture, would be learnt without a word."""
    data = faces(crema_d_cache)
    data.setup()
    teacher = FaceNetwork(Colours())
    strategy = SimpleNamespace(barrier=lambda name: None)
    fit: Any = SimpleNamespace(datamodule=data, global_rank=0, world_size=1, strategy=strategy)
    clip_id = data.clips("train")[0].clip_id

    def kept(output: str, source: str) -> torch.Tensor:
        networks: dict[str, nn.Module] = {"identity": teacher, "emotion": teacher}
        cache = filled_teacher_cache(str(tmp_path), fit, networks, output, [source], torch.device("cpu"))
        return cache.read(clip_id, mu=...)[0]

    assert [kept(output, "a").shape[1] for output in ("logits", "embedding", "logits")] == [2, 3, 2]
    assert len(list(tmp_path.iterdir())) == 2
    kept("logits", "b")
    assert len(list(tmp_path.iterdir())) == 3


def test_the_drawn_frames_are_found_at_the_datas_rate(tmp_path: Path) -> None:
    """Windows from frames 3 and 0 on, every second frame of clips at 50 a second."""
    made = distill(frames_per_clip=3)
    made._cache = TeacherCache(str(tmp_path), "t", 50.0)
    made._cache.missing({"one": "source", "other": "source"})
    for clip, first in (("one", 0.0), ("other", 100.0)):
        made._cache.write(clip, nu=torch.full((2,), first), mu=first + torch.arange(12.0).unsqueeze(1))
    batch: Any = {
        "frames": torch.zeros(2, 3, 3, 8, 8, dtype=torch.uint8),
        "frame_times": (torch.tensor([[0, 2, 4]] * 2) + 0.5) / 50,
        "start": torch.tensor([3, 0]),
        "clip_id": ["one", "other"],
    }
    nu, mu = made.teacher_features(batch)
    assert nu.tolist() == [[0, 0], [100, 100]]
    assert mu.tolist() == [[5], [102]]  # the means of 3, 5, 7 and of 100, 102, 104


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    cache = TeacherCache(str(tmp_path), "t")
    cache.missing({"clip": "source"})
    cache.write("clip", nu=torch.ones(3), mu=torch.ones(4, 2))
    (file,) = tmp_path.rglob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(InputError, match=rf"{file} cannot be used .*: delete the file; the next fit"):
        cache.read("clip", nu=..., mu=torch.tensor([0]))
    assert not list(tmp_path.rglob("*.partial"))


def test_a_full_disk_is_one_line(small_disk: Path) -> None:
    cache = TeacherCache(str(small_disk / "features"), "teachers")
    cache.missing({"clip": "pixels"})
    fill_disk(small_disk, 8192)
    with pytest.raises(InputError, match=r"No space left on device.*free some space or set"):
        cache.write("clip", nu=torch.zeros(2), mu=torch.zeros(5000, 3))
    assert [path for path in (small_disk / "features").rglob("*") if path.is_file()] == []


def test_mirrored_windows_have_no_cached_features(
    teachers: dict[str, Any], crema_d_cache: Path, tmp_path: Path
) -> None:
    made = distill(teacher_cache=str(tmp_path / "kept"), frames_per_clip=4, **teachers)
    with pytest.raises(InputError, match=r"data\.init_args\.flip mirrors .*: set flip to false, or leave"):
        trainer(tmp_path, max_steps=1).fit(made, datamodule=faces(crema_d_cache, flip=True))
