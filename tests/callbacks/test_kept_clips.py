"""Kept clips of a test: which are kept, what they hold, and that nothing else in the folder is touched."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from callbacks.kept_clips import KeptClips
from s2v.errors import InputError
from s2v.evaluation.kept_clip import KeptClip, read_kept_clips
from tests.s2v.modules.small_faces import EMOTIONS, SPEAKERS, SmallFaces, batch_of, draw_clip, trainer


class Negative(pl.LightningModule):
    """A system that makes each frame's negative; `mute` makes nothing."""

    def __init__(self, mute: bool = False) -> None:
        super().__init__()
        self.mute = mute

    def test_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor] | None:
        return None if self.mute else {"generated": 255 - batch["frames"][0]}


def run_test(folder: Path, num_clips: int = 3, clips: int = 6, mute: bool = False) -> None:
    callback = KeptClips(str(folder), num_clips)
    trainer(folder, callback).test(Negative(mute), datamodule=SmallFaces(clips), verbose=False)


def test_evenly_spaced_clips_are_kept_as_they_were_made(tmp_path: Path) -> None:
    run_test(tmp_path / "clips")
    kept = read_kept_clips(tmp_path / "clips")
    assert [clip.clip_id for clip in kept] == ["clip0", "clip2", "clip4"]
    for index, clip in zip((0, 2, 4), kept, strict=True):
        drawn = draw_clip(index)
        assert clip.title == f"{SPEAKERS[drawn['speaker']]} {EMOTIONS[drawn['emotion']]}"
        assert torch.equal(clip.real, drawn["frames"]) and torch.equal(clip.generated, 255 - drawn["frames"])
        assert torch.equal(clip.speech, drawn["speech"])


class TwoParts(SmallFaces):
    def test_dataloader(self) -> Any:
        loader = super().test_dataloader()
        return [
            loader,
            DataLoader([draw_clip(index) for index in range(6, 12)], collate_fn=loader.collate_fn),
        ]  # type: ignore[arg-type]


class NegativeOfParts(Negative):
    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int) -> dict[str, Tensor] | None:  # type: ignore[override]
        return super().test_step(batch, batch_idx)


def test_clips_are_evenly_spaced_over_all_loaders(tmp_path: Path) -> None:
    callback = KeptClips(str(tmp_path), 3)
    trainer(tmp_path, callback).test(NegativeOfParts(), datamodule=TwoParts(6), verbose=False)
    assert {clip.clip_id for clip in read_kept_clips(tmp_path)} == {"clip0", "clip4", "clip8"}


class Stream(IterableDataset[Any]):
    """Clips of which nobody knows how many there are."""

    def __iter__(self) -> Iterator[Any]:
        return (draw_clip(index) for index in range(6))


class Streamed(SmallFaces):
    def test_dataloader(self) -> DataLoader[Any]:
        return DataLoader(Stream(), collate_fn=super().test_dataloader().collate_fn)


def test_of_a_stream_the_first_clips_are_kept(tmp_path: Path) -> None:
    trainer(tmp_path, KeptClips(str(tmp_path), 2)).test(Negative(), datamodule=Streamed(), verbose=False)
    assert [clip.clip_id for clip in read_kept_clips(tmp_path)] == ["clip0", "clip1"]


class UpperHalf(Negative):
    """Returns the part of the real frames that it makes."""

    def test_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        upper = batch["frames"][0][..., :16, :]
        return {"generated": 255 - upper, "real": upper}


def test_real_frames_are_those_that_the_module_is_measured_on(tmp_path: Path) -> None:
    trainer(tmp_path, KeptClips(str(tmp_path))).test(UpperHalf(), datamodule=SmallFaces(1), verbose=False)
    (clip,) = read_kept_clips(tmp_path)
    assert torch.equal(clip.real, draw_clip(0)["frames"][..., :16, :])


class Strangers(SmallFaces):
    """Two clips without an emotion, one of them of nobody known."""

    def test_dataloader(self) -> DataLoader[Any]:
        clips: Any = [draw_clip(index) | {"emotion": -1} for index in range(2)]
        clips[0]["speaker"] = -1
        return DataLoader(clips, collate_fn=lambda batch: batch_of(batch, None))


def test_a_clip_without_labels_is_called_by_its_id(tmp_path: Path) -> None:
    callback = KeptClips(str(tmp_path))
    trainer(tmp_path, callback).test(Negative(), datamodule=Strangers(), verbose=False)
    assert [clip.title for clip in read_kept_clips(tmp_path)] == ["clip0", SPEAKERS[1]]


def test_a_short_split_is_kept_whole(tmp_path: Path) -> None:
    run_test(tmp_path / "clips", clips=2)
    assert [clip.clip_id for clip in read_kept_clips(tmp_path / "clips")] == ["clip0", "clip1"]


def test_clips_kept_earlier_go_and_other_files_stay(tmp_path: Path) -> None:
    frames = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    earlier = KeptClip("earlier", "somebody", frames, frames + 9, torch.zeros(1280)).write(tmp_path)
    weights, named = tmp_path / "model.safetensors", tmp_path / "named.safetensors"
    save_file({"weight": torch.ones(3)}, weights)
    save_file({"speech": torch.ones(3)}, named, {"clip_id": "a", "title": "b"})
    before = {path: path.read_bytes() for path in (weights, named)}
    run_test(tmp_path)
    assert not earlier.exists()
    assert {path: path.read_bytes() for path in before} == before
    assert [clip.clip_id for clip in read_kept_clips(tmp_path)] == ["clip0", "clip2", "clip4"]


def test_what_nobody_can_read_is_left_and_said_before_the_test(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"a\.safetensors is no kept clip, or damaged .*: remove it"):
        run_test(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_folder_that_cannot_be_made_is_said_before_the_test(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        InputError, match=r"KeptClips' output_dir .*: expected a folder, but .*file is a file"
    ):
        run_test(tmp_path / "file" / "clips")


def test_a_module_that_generates_nothing_keeps_nothing(tmp_path: Path) -> None:
    run_test(tmp_path / "clips", mute=True)
    assert not (tmp_path / "clips").exists()


def test_none_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="num_clips must be at least 1, got 0"):
        KeptClips(str(tmp_path), num_clips=0)
