import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import decord
import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger, WandbLogger
from torch.utils.data import DataLoader, IterableDataset

from callbacks.sample_videos import Sample, SampleVideos, make_sample, still_strip, write_sample
from data_modules.clip_cache import write_clip
from data_modules.windows import Clip, WholeClipDataset, WindowDataset, collate_windows
from s2v.errors import InputError
from s2v.files.whole_file import partial_beside
from s2v.generation.speech_file import read_speech
from s2v.modules.composer import ComposerModule
from s2v.training.step_counters import go_on_logging_at
from tests import quiet_trainer
from tests.s2v.generation.composer_checkpoint import instantiate_composer
from tests.s2v.generation.networks import speech_like
from tests.s2v.training.wandb_offline import read_offline_run

FRAMES = 30


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    """Six cached clips of 30 frames; the real picture is bright by the clip's number."""
    folder = tmp_path_factory.mktemp("clips")
    made = []
    for number in range(6):
        frames = np.full((FRAMES, 3, 64, 64), 20 * number + 20, np.uint8)
        speech = (speech_like(FRAMES / 25, seed=number).numpy() * 32767).astype(np.int16)
        path = folder / f"{number}.safetensors"
        write_clip(path, frames, speech, {"clip_id": f"id{number}/video/0001"})
        made.append(Clip(f"id{number}/video/0001", path, FRAMES, 25, number, -1))
    return made


class Clips(pl.LightningDataModule):
    """Windows of 12 frames, 4 of them served."""

    def __init__(self, clips: list[Clip]) -> None:
        super().__init__()
        self.clips = clips

    def train_dataloader(self) -> DataLoader:
        return DataLoader(WindowDataset(self.clips, 12, 4), batch_size=2, collate_fn=collate_windows)

    def val_dataloader(self) -> DataLoader:
        dataset = WindowDataset(self.clips, 12, 4, random=False)
        return DataLoader(dataset, batch_size=2, collate_fn=collate_windows)


def composer() -> ComposerModule:
    """Untrained, 64 x 64, without D_ID, which needs a face network's weights."""
    return instantiate_composer(image_size=64, weights={"identity": 0.0}).model


def trainer(tmp_path: Path, callback: SampleVideos, **settings) -> pl.Trainer:  # type: ignore[no-untyped-def]
    few = {"max_epochs": 1, "num_sanity_val_steps": 1, "limit_train_batches": 1, "limit_val_batches": 1}
    return quiet_trainer.trainer(tmp_path, callback, **few | settings)


def test_a_fit_writes_the_same_clips_every_second_epoch(clips: list[Clip], tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path, name="", version="run")
    fit = trainer(tmp_path, SampleVideos(num_clips=3, every_n_epochs=2), logger=logger, max_epochs=4)
    fit.fit(composer(), datamodule=Clips(clips))
    folder = tmp_path / "run" / "samples"
    assert sorted(os.listdir(folder)) == ["step-000002", "step-000004"]  # none of the sanity check
    for step in folder.iterdir():
        names = sorted(os.listdir(step))
        assert names == [f"id{number}_video_0001.mp4" for number in (0, 2, 4)]
        for name, number in zip(names, (0, 2, 4), strict=True):
            reader = decord.VideoReader(str(step / name))
            assert len(reader) == FRAMES
            shown = reader.get_batch(range(FRAMES)).asnumpy()
            assert shown.shape[1:] == (64, 128, 3)
            assert np.abs(shown[:, :, :56].astype(int) - (20 * number + 20)).mean() < 3  # real, on the left
            heard = read_speech(step / name).numpy()
            said = speech_like(FRAMES / 25, seed=number).numpy()
            assert abs(len(heard) - len(said)) <= 2
            assert np.corrcoef(heard[: len(said) - 2], said[: len(heard)][: len(said) - 2])[0, 1] > 0.9


def test_of_several_loaders_the_first_ones_clips_are_shown(clips: list[Clip]) -> None:
    first, second = (DataLoader(WholeClipDataset(part)) for part in (clips[:4], clips[4:]))  # type: ignore[arg-type]
    for loaders in ([first, second], {"a": first, "b": second}):
        process: Any = SimpleNamespace(val_dataloaders=loaders)
        shown = list(SampleVideos(num_clips=2)._clips(process))
        assert [clip["clip_id"] for clip in shown] == ["id0/video/0001", "id2/video/0001"]


class Stream(IterableDataset[Any]):
    """Clips of which nobody knows how many there are."""

    def __init__(self, clips: list[Clip]) -> None:
        self.clips = clips

    def __iter__(self) -> Iterator[Any]:
        return iter(WholeClipDataset(self.clips))


def test_of_a_stream_the_first_clips_are_shown(clips: list[Clip]) -> None:
    process: Any = SimpleNamespace(val_dataloaders=DataLoader(Stream(clips)))
    shown = SampleVideos(num_clips=2)._clips(process)
    assert [clip["clip_id"] for clip in shown] == ["id0/video/0001", "id1/video/0001"]


def test_half_written_videos_of_a_killed_run_are_removed(clips: list[Clip], tmp_path: Path) -> None:
    old = tmp_path / "samples" / "step-000001"
    old.mkdir(parents=True)
    partial_beside(old / "clip.mp4").touch()
    (old / "clip.mp4").touch()
    callback = SampleVideos(num_clips=1, output_dir=str(tmp_path / "samples"))
    trainer(tmp_path, callback).fit(composer(), datamodule=Clips(clips))
    assert not list(old.glob(".*")) and (old / "clip.mp4").exists()


def test_generated_half_is_what_export_makes(clips: list[Clip], tmp_path: Path) -> None:
    module = composer().eval()
    whole = WholeClipDataset(clips)[1]
    sample = make_sample(module, whole, max_seconds=10)
    assert torch.equal(sample.generated, module.generate_clip(whole["speech"], FRAMES))
    assert torch.equal(sample.real, whole["frames"]) and torch.equal(sample.speech, whole["speech"])
    cut = make_sample(module, whole, max_seconds=0.4)
    assert cut.real.untyped_storage().nbytes() == cut.real.nbytes  # not the whole clip's
    assert torch.equal(cut.real, whole["frames"][:10]) and torch.equal(cut.speech, whole["speech"][:6_400])
    assert torch.equal(cut.generated, module.generate_clip(whole["speech"][:6_400], 10))
    whole["speech"] = whole["speech"][:-1_000]  # a track that ends before the picture
    assert make_sample(module, whole, max_seconds=10).generated.shape == (FRAMES, 3, 64, 64)


def test_names_are_fit_for_files(clips: list[Clip]) -> None:
    module, clip = composer().eval(), WholeClipDataset(clips)[0]
    clip["clip_id"] = "../a b/c.1"
    assert make_sample(module, clip, max_seconds=0.2).name == "_a_b_c.1"


def test_a_window_keeps_frames_and_sound_together(clips: list[Clip]) -> None:
    """Windows of another kind of data set hold more speech than frames."""
    module = composer().eval()
    window = WindowDataset(clips, 12, 4, random=False)[0]
    sample = make_sample(module, window, max_seconds=10)
    assert sample.real.shape == sample.generated.shape == (4, 3, 64, 64)
    assert torch.equal(sample.generated, module.generate_clip(window["speech"], 12)[4:8])
    assert torch.equal(sample.speech, window["speech"][4 * 640 : 8 * 640])


class Tall(pl.LightningModule):
    """Makes the middle of the square frames alone, as SDFA's 128 x 96 of 128 x 128."""

    def fitted(self, frames: torch.Tensor) -> torch.Tensor:
        return frames[..., 8:-8]

    def generate_clip(self, speech: torch.Tensor, num_frames: int) -> torch.Tensor:
        return torch.zeros(num_frames, 3, 64, 48, dtype=torch.uint8)


def test_real_frames_are_the_part_that_is_generated(clips: list[Clip], tmp_path: Path) -> None:
    window = WholeClipDataset(clips)[0]
    window["frames"][..., :8] = 255
    sample = make_sample(Tall(), window, max_seconds=10)
    assert sample.real.shape == sample.generated.shape == (FRAMES, 3, 64, 48)
    assert (sample.real == 20).all()
    assert still_strip(sample).shape == (3, 128, 6 * 48)
    assert decord.VideoReader(str(write_sample(sample, tmp_path)))[0].shape == (64, 96, 3)


def test_still_strip_layout() -> None:
    real = torch.arange(8, dtype=torch.uint8)[:, None, None, None].expand(8, 3, 2, 5)
    strip = still_strip(Sample("a", real, real + 100, torch.zeros(8 * 640)), count=4)
    assert strip.shape == (3, 4, 20) and strip.dtype == torch.uint8
    assert strip[0, 0].tolist() == [1] * 5 + [3] * 5 + [5] * 5 + [7] * 5
    assert strip[0, 2].tolist() == [101] * 5 + [103] * 5 + [105] * 5 + [107] * 5
    assert still_strip(Sample("a", real[:2], real[:2], torch.zeros(0))).shape == (3, 4, 10)


def test_videos_reach_weights_and_biases_as_files(clips: list[Clip], tmp_path: Path) -> None:
    logger = WandbLogger(project="s2v", save_dir=tmp_path, offline=True)
    fit = trainer(tmp_path, SampleVideos(num_clips=2), logger=logger, limit_train_batches=2)
    fit.fit(composer(), datamodule=Clips(clips))
    run = Path(logger.experiment.dir)
    logger.experiment.finish()
    videos = sorted(run.glob("media/videos/**/*.mp4"))
    assert len(videos) == 2
    assert all(len(read_speech(video)) == pytest.approx(FRAMES * 640, abs=2) for video in videos)
    assert (tmp_path / "samples" / "step-000002" / "id0_video_0001.mp4").exists()
    written = read_offline_run(run.parent)
    assert written.values("samples.captions") == [["id0_video_0001", "id3_video_0001"]]
    (logged,) = written.values("samples.videos")
    assert [row["trainer/global_step"] for row in written.history if "samples.videos" in row] == [2]
    assert {Path(video["path"]).name for video in logged} == {video.name for video in videos}


def test_tensorboard_gets_strips(clips: list[Clip], tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from lightning.pytorch.loggers import TensorBoardLogger
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logger = TensorBoardLogger(tmp_path, name="", version="run")
    trainer(tmp_path, SampleVideos(num_clips=2), logger=logger).fit(composer(), datamodule=Clips(clips))
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    tags = events.Tags()["images"]
    assert tags == ["samples/id0_video_0001", "samples/id3_video_0001"]
    (strip,) = events.Images(tags[0])
    assert (strip.step, strip.height, strip.width) == (1, 128, 6 * 64)


def test_validate_alone_and_a_folder_of_ones_own(clips: list[Clip], tmp_path: Path) -> None:
    callback = SampleVideos(num_clips=9, every_n_epochs=5, output_dir=str(tmp_path / "mine"))
    trainer(tmp_path, callback).validate(composer(), datamodule=Clips(clips), verbose=False)
    assert len(list((tmp_path / "mine" / "step-000000").iterdir())) == 6


def test_of_several_processes_one_generates(clips: list[Clip], tmp_path: Path) -> None:
    process: Any = SimpleNamespace(
        state=SimpleNamespace(fn="fit"), current_epoch=0, sanity_checking=False, global_step=1, is_global_zero=False,
        val_dataloaders=Clips(clips).val_dataloader(), loggers=[],
    )  # fmt: skip
    for process.is_global_zero in (False, True):
        SampleVideos(output_dir=str(tmp_path)).on_validation_epoch_end(process, composer())
        assert any(tmp_path.iterdir()) == process.is_global_zero


def test_training_is_the_same_with_and_without(clips: list[Clip], tmp_path: Path) -> None:
    """The callback draws no random number of training's and leaves networks in their modes."""
    weights = []
    for callbacks in ([], [SampleVideos(num_clips=1)]):
        module = composer()
        torch.manual_seed(3)
        fit = trainer(tmp_path, SampleVideos(), max_epochs=2, num_sanity_val_steps=0)
        fit.callbacks = [c for c in fit.callbacks if not isinstance(c, SampleVideos)] + callbacks
        fit.fit(module, datamodule=Clips(clips))
        weights.append({name: value.clone() for name, value in module.state_dict().items()})
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_a_full_disk_does_not_end_training(clips: list[Clip], tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be")
    callback = SampleVideos(num_clips=1, output_dir=str(tmp_path / "taken"))
    fit = trainer(tmp_path, callback)
    with pytest.warns(UserWarning, match="not written"):
        fit.fit(composer(), datamodule=Clips(clips))
    assert fit.global_step == 1


def test_wrong_arguments_and_modules(tmp_path: Path) -> None:
    for settings in ({"num_clips": 0}, {"every_n_epochs": 0}, {"max_seconds": 0.01}):
        with pytest.raises(InputError, match="at least"):
            SampleVideos(**settings)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="generate_clip"):
        SampleVideos().setup(pl.Trainer(logger=False, accelerator="cpu"), pl.LightningModule(), "fit")


def test_a_bare_validations_samples_are_of_the_checkpoints_step(clips: list[Clip], tmp_path: Path) -> None:
    fit = trainer(tmp_path, SampleVideos(num_clips=1, output_dir=str(tmp_path / "fit")))
    fit.fit(composer(), datamodule=Clips(clips))
    fit.save_checkpoint(tmp_path / "one.ckpt")
    later = trainer(tmp_path, SampleVideos(num_clips=1, output_dir=str(tmp_path / "later")))
    go_on_logging_at(later, 7)  # as `s2v validate` does
    later.validate(composer(), datamodule=Clips(clips), verbose=False)
    assert [path.name for path in (tmp_path / "later").iterdir()] == ["step-000007"]
    assert [path.name for path in (tmp_path / "fit").iterdir()] == ["step-000001"]
