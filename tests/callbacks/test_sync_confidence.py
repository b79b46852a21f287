"""Validation windows are spoken whole and scored beside their own speech."""

from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch.utils.data import DataLoader

from callbacks.sync_confidence import SyncConfidenceCallback
from data_modules.shared_batches import SharedBatches
from s2v.batch import TalkingFaceBatch
from s2v.errors import InputError
from s2v.evaluation.judges import load_sync_judge
from s2v.evaluation.speech_samples import as_int16
from s2v.metrics.sync_confidence import MIN_FRAMES, sync_scores
from tests.callbacks.small_gan import SmallGAN
from tests.callbacks.speaking_squares import SpeakingSquares, Squares, square_batch
from tests.quiet_trainer import trainer
from tests.s2v.evaluation.judge_checkpoints import save_mouth_syncnet, save_syncnet
from tests.s2v.evaluation.talking_squares import sync_judge

CLIPS = [("ann", "anger", 1), ("ben", "anger", 2), ("cem", "happiness", 3)]


@pytest.fixture(scope="module")
def syncnet(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_syncnet(tmp_path_factory.mktemp("judge") / "syncnet.ckpt")


def validation(frames: int = 20) -> list[TalkingFaceBatch]:
    return [square_batch(CLIPS[:2], frames), square_batch(CLIPS[2:], frames)]


def expected(syncnet: str, clips: int) -> dict[str, float]:
    judge, system = load_sync_judge(syncnet), SpeakingSquares()
    found = []
    for clip in CLIPS[:clips]:
        speech = square_batch([clip], 20)["speech"][0]
        found.append(sync_scores(judge.network, system.generate_clip(speech, 20), as_int16(speech)))
    offsets, distances, confidences = torch.tensor(found).unbind(dim=1)
    means = {"offset_abs": offsets.abs(), "distance": distances, "confidence": confidences}
    return {f"val/sync_{name}": values.mean().item() for name, values in means.items()}


@pytest.mark.parametrize("clips", [1, 3])
def test_logs_the_mean_over_the_chosen_windows(syncnet: str, clips: int, tmp_path: Path) -> None:
    """Of the first ones where batches come ready made, so that nobody knows how many windows there are."""
    run = trainer(tmp_path, SyncConfidenceCallback(syncnet, max_clips=clips))
    run.validate(SpeakingSquares(), datamodule=Squares(val=validation()), verbose=False)
    found = {name: value.item() for name, value in run.callback_metrics.items()}
    assert found == pytest.approx(expected(syncnet, clips), rel=1e-4)


def test_embeddings_of_length_1_are_not_compared_with_zeros(tmp_path: Path) -> None:
    mouth = save_mouth_syncnet(tmp_path / "mouth.ckpt")
    run = trainer(tmp_path, SyncConfidenceCallback(mouth, max_clips=1))
    run.validate(SpeakingSquares(), datamodule=Squares(val=validation(frames=40)), verbose=False)
    network, speech = load_sync_judge(mouth).network, square_batch(CLIPS[:1], 40)["speech"][0]
    frames, heard = SpeakingSquares().generate_clip(speech, 40), as_int16(speech)
    distance = run.callback_metrics["val/sync_distance"].item()
    assert distance == pytest.approx(
        sync_scores(network, frames, heard, mode="valid_only").distance, rel=1e-4
    )
    assert distance != pytest.approx(sync_scores(network, frames, heard, mode="stock").distance, rel=1e-3)


class SortedWindows(pl.LightningDataModule):
    """Ten windows of each of four speakers, sorted, eight a batch; the speech of a window is its number / 1000."""

    def train_dataloader(self) -> Any:
        return self.val_dataloader()

    def val_dataloader(self) -> Any:
        return DataLoader(range(40), batch_size=8, collate_fn=_numbered)  # type: ignore[arg-type]


def _numbered(numbers: list[int]) -> dict[str, torch.Tensor]:
    speech = torch.tensor(numbers)[:, None].expand(-1, 20 * 640) / 1000
    return {"speech": speech, "still": torch.zeros(len(numbers), 3, 32, 32, dtype=torch.uint8)}


class Listening(SpeakingSquares):
    """Notes which windows of `SortedWindows` it was asked to speak."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[int] = []

    def generate_clip(self, speech: torch.Tensor, num_frames: int) -> torch.Tensor:
        self.heard.append(round(float(speech[0]) * 1000))
        return super().generate_clip(torch.full_like(speech, 0.1), num_frames)

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        return None


@pytest.mark.parametrize(
    ("clips", "limit", "expected"),
    [(4, 1.0, [0, 10, 20, 30]), (4, 2, [0, 4, 8, 12]), (4, 0.4, [0, 4, 8, 12]), (50, 1.0, list(range(40)))],
)
def test_windows_are_evenly_spaced(
    clips: int, limit: int | float, expected: list[int], tmp_path: Path
) -> None:
    """The first windows of a sorted data set are one speaker's."""
    callback, system = SyncConfidenceCallback("in memory", max_clips=clips), Listening()
    callback._judge = sync_judge()
    trainer(tmp_path, callback, limit_val_batches=limit).validate(
        system, datamodule=SortedWindows(), verbose=False
    )
    assert system.heard == expected


def test_a_fits_windows_are_those_of_a_bare_validation(tmp_path: Path) -> None:
    callback, system = SyncConfidenceCallback("in memory", max_clips=4), Listening()
    callback._judge = sync_judge()
    trainer(tmp_path, callback, max_epochs=2, limit_train_batches=1).fit(system, datamodule=SortedWindows())
    assert system.heard == [0, 10, 20, 30] * 2  # two sanity batches are not all there is


class OutOfStep(SpeakingSquares):
    """Three frames late in one clip, three early in the next."""

    shift = -3

    def generate_clip(self, speech: torch.Tensor, num_frames: int) -> torch.Tensor:
        self.shift = -self.shift
        return super().generate_clip(speech, num_frames).roll(self.shift, dims=0)


def test_early_and_late_do_not_cancel_out(tmp_path: Path) -> None:
    callback = SyncConfidenceCallback("in memory", max_clips=2)
    callback._judge = sync_judge()
    run = trainer(tmp_path, callback)
    run.validate(OutOfStep(), datamodule=Squares(val=validation(frames=40)), verbose=False)
    assert run.callback_metrics["val/sync_offset_abs"].item() == 3


def test_a_validation_forgets_the_one_before(tmp_path: Path) -> None:
    callback = SyncConfidenceCallback("in memory", max_clips=2)
    callback._judge = sync_judge()
    run, system = trainer(tmp_path, callback), OutOfStep()
    for system.shift in (3, 1):
        run.validate(system, datamodule=Squares(val=validation(frames=40)), verbose=False)
        assert run.callback_metrics["val/sync_offset_abs"].item() == abs(system.shift)


class Counting(SpeakingSquares):
    """Counts the clips it was asked to speak."""

    asked = 0

    def generate_clip(self, speech: torch.Tensor, num_frames: int) -> torch.Tensor:
        assert not self.training
        self.asked += 1
        return super().generate_clip(speech, num_frames)


def test_every_nth_validation_of_a_fit_and_never_the_sanity_check(syncnet: str, tmp_path: Path) -> None:
    system = Counting()
    run = trainer(tmp_path, SyncConfidenceCallback(syncnet, max_clips=2, every_n_epochs=2), max_epochs=5)
    run.fit(system, datamodule=Squares(val=validation()))
    assert system.asked == 2 * 2  # after epochs 2 and 4


def test_ranks_share_out_the_windows(syncnet: str) -> None:
    """Every rank is served all windows."""
    first = []
    for rank in range(2):
        callback, process = (
            SyncConfidenceCallback(syncnet, max_clips=3),
            SimpleNamespace(world_size=2, global_rank=rank, val_dataloaders=None, num_val_batches=[2]),
        )
        callback.on_validation_epoch_start(process, SpeakingSquares())  # type: ignore[arg-type]
        for batch in [*validation(), *validation()]:
            callback.on_validation_batch_end(process, SpeakingSquares(), None, batch, 0)  # type: ignore[arg-type]
        first.append([speech for speech, _ in callback._windows])
    speech = torch.cat([batch["speech"] for batch in validation()])
    assert [len(share) for share in first] == [2, 1]
    torch.testing.assert_close(torch.stack([first[0][0], first[1][0], first[0][1]]), speech)


@pytest.mark.parametrize(
    ("limit", "expected"), [(1.0, [0, 8, 17, 26]), (2, [0, 8, 16, 24]), (0.5, [0, 4, 8, 12])]
)
def test_ranks_of_unlike_many_batches_choose_the_same_windows(
    limit: int | float, expected: list[int]
) -> None:
    """Of five batches of 35 windows one rank has three."""
    heard = []
    for rank in range(2):
        sampler = SharedBatches(35, 8, rank, 2)
        loader = DataLoader(range(35), 8, sampler=sampler, collate_fn=_numbered)  # type: ignore[arg-type]
        own = min(len(loader), limit) if isinstance(limit, int) else int(len(loader) * limit)
        process: Any = SimpleNamespace(
            world_size=2,
            global_rank=rank,
            val_dataloaders=loader,
            num_val_batches=[own],
            limit_val_batches=limit,
        )
        callback = SyncConfidenceCallback("in memory", max_clips=4)
        callback.on_validation_epoch_start(process, SpeakingSquares())
        for batch_idx, batch in enumerate(islice(loader, own)):
            callback.on_validation_batch_end(process, SpeakingSquares(), None, batch, batch_idx)
        heard += [round(float(speech[0]) * 1000) for speech, _ in callback._windows]
    assert sorted(heard) == expected


@pytest.mark.parametrize("kind", [list, dict])
@pytest.mark.parametrize(
    "lengths", [(10, 30), (5, 35), (35, 5)]
)  # five are one batch, which all ranks go through
def test_windows_of_several_loaders_are_those_of_one_process(kind: type, lengths: tuple[int, int]) -> None:
    def heard(rank: int, world_size: int) -> list[int]:
        numbers, loaders = list(range(sum(lengths))), []
        for length in lengths:
            sampler = SharedBatches(length, 8, rank, world_size)
            of_one, numbers = numbers[:length], numbers[length:]
            loaders.append(DataLoader(of_one, 8, sampler=sampler, collate_fn=_numbered))  # type: ignore[arg-type]
        process: Any = SimpleNamespace(
            world_size=world_size,
            global_rank=rank,
            val_dataloaders=dict(zip("ab", loaders, strict=True)) if kind is dict else loaders,
            num_val_batches=[len(loader) for loader in loaders],
            limit_val_batches=1.0,
        )
        callback = SyncConfidenceCallback("in memory", max_clips=4)
        callback.on_validation_epoch_start(process, SpeakingSquares())
        for place, loader in enumerate(loaders):
            for batch_idx, batch in enumerate(loader):
                callback.on_validation_batch_end(process, SpeakingSquares(), None, batch, batch_idx, place)
        return [round(float(speech[0]) * 1000) for speech, _ in callback._windows]

    assert heard(0, 1) == [0, 10, 20, 30]
    assert sorted(heard(0, 2) + heard(1, 2)) == [0, 10, 20, 30]


def test_a_resumed_fit_scores_after_the_same_epochs(syncnet: str, tmp_path: Path) -> None:
    for epochs, ckpt_path in ((1, None), (4, str(tmp_path / "one.ckpt"))):
        system = Counting()
        run = trainer(
            tmp_path, SyncConfidenceCallback(syncnet, max_clips=1, every_n_epochs=2), max_epochs=epochs
        )
        run.fit(system, datamodule=Squares(val=validation()), ckpt_path=ckpt_path)
        run.save_checkpoint(tmp_path / "one.ckpt")
    assert system.asked == 2  # after epochs 2 and 4, as without the interruption


class Animating(SpeakingSquares):
    """Speaks with the face it is shown."""

    needs_still = True

    def generate_clip(self, speech: torch.Tensor, num_frames: int, **picture: torch.Tensor) -> torch.Tensor:
        assert picture["still"].shape == (3, 32, 32) and picture["still"].float().mean() > 1  # nothing black
        return super().generate_clip(speech, num_frames)


def test_a_module_that_animates_a_picture_gets_one(syncnet: str, tmp_path: Path) -> None:
    run = trainer(tmp_path, SyncConfidenceCallback(syncnet, max_clips=1))
    run.validate(Animating(), datamodule=Squares(val=validation()), verbose=False)
    assert "val/sync_confidence" in run.callback_metrics


def test_a_module_that_speaks_nothing_is_refused(syncnet: str, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="SyncConfidenceCallback needs a module with generate_clip, and SmallGAN"
    ):
        trainer(tmp_path, SyncConfidenceCallback(syncnet)).validate(
            SmallGAN(), datamodule=Squares(val=validation())
        )


def test_errors_come_before_the_training(syncnet: str, tmp_path: Path) -> None:
    missing = trainer(tmp_path, SyncConfidenceCallback(str(tmp_path / "none.ckpt")))
    with pytest.raises(InputError, match="no file at"):
        missing.fit(SpeakingSquares(), datamodule=Squares(val=validation()))
    assert missing.global_step == 0
    short = trainer(tmp_path, SyncConfidenceCallback(syncnet))
    with pytest.raises(InputError, match=f"windows have {MIN_FRAMES - 1}"):
        short.fit(SpeakingSquares(), datamodule=Squares(val=validation(frames=MIN_FRAMES - 1)))
    assert short.global_step == 0
    short.validate(SpeakingSquares(), datamodule=Squares(val=validation(frames=MIN_FRAMES)), verbose=False)
    for settings in ({"max_clips": 0}, {"every_n_epochs": 0}):
        with pytest.raises(InputError, match="at least 1"):
            SyncConfidenceCallback(syncnet, **settings)
    sources = {
        stage: SyncConfidenceCallback(syncnet).weight_sources(stage, True) for stage in ("fit", "test")
    }
    assert sources == {"fit": {"the sync judge": syncnet}, "test": {"the sync judge": None}}
