"""Data modules on a real (synthetic) cache: batches, splits, exact resume, and errors in words."""

import contextlib
import multiprocessing
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn

from data_modules import CremaD, SyntheticFaces, TalkingFaceDataModule, VideoFolder
from data_modules.preparation import prepare
from s2v.batch import TalkingFaceBatch
from s2v.errors import InputError
from tests.data_modules.media import write_speakers


def module(cache: Path, **arguments: Any) -> CremaD:
    return CremaD(str(cache), **{"image_size": 64, "num_workers": 0, "batch_size": 4, **arguments})


def test_batches_are_as_the_contract_says(crema_d_cache: Path) -> None:
    data = module(crema_d_cache)
    data.setup("fit")
    assert data.speakers == ["1001", "1002", "1003"]
    assert data.fps == 25
    assert data.emotions == ["anger", "disgust", "fear", "happiness", "neutral", "sadness"]
    batches = list(data.train_dataloader())
    assert len(batches) == len(data.clips("train")) // 4
    label = {row.clip_id: row for part in ("train", "val", "test") for row in data.clips(part)}
    for batch in batches:
        assert batch["frames"].shape == (4, 16, 3, 64, 64)
        assert batch["frames"].dtype == torch.uint8
        assert batch["speech"].shape == (4, 40 * 640)
        assert batch["speech"].dtype == torch.float32
        assert batch["speech"].abs().max() <= 1
        assert batch["frame_times"].shape == (4, 16)
        assert batch["still"].shape == (4, 3, 64, 64)
        for name, speaker, emotion in zip(batch["clip_id"], batch["speaker"], batch["emotion"], strict=True):
            assert data.speakers[speaker] == label[name].speaker
            assert data.emotions[emotion] == label[name].emotion
    for part, loader in (("val", data.val_dataloader()), ("test", data.test_dataloader())):
        assert [name for batch in loader for name in batch["clip_id"]] == [
            row.clip_id for row in data.clips(part)
        ]
    first = next(iter(data.test_dataloader()))
    assert first["frames"].shape[:2] == (1, data.clips("test")[0].frames)
    assert first["speech"].shape[1] == first["frames"].shape[1] * 640


def test_a_second_sharing_out_is_refused(crema_d_cache: Path) -> None:
    """Lightning's own distributed sampler round ours would leave out half of the windows on two processes."""
    for own, refused in ((True, True), (False, False)):
        data = module(crema_d_cache)
        data.trainer = Trainer(logger=False, accelerator="cpu", devices=2, use_distributed_sampler=own)
        if refused:
            with pytest.raises(InputError, match="needs use_distributed_sampler=False"):
                data.train_dataloader()
        else:
            data.train_dataloader()


def test_sentences_of_clips(crema_d_cache: Path) -> None:
    found = module(crema_d_cache).sentences
    assert len(found) == 36 and all(name.split("_")[1] == sentence for name, sentence in found.items())


def test_what_is_asked_for_reaches_the_cache(crema_d_cache: Path) -> None:
    """`read_prepared`'s own tests say what each means."""
    data = module(crema_d_cache, speakers=["1002", "1003"], max_clips=2, split="sentences", crop="center")
    assert data.speakers == ["1002", "1003"] and data.cached_crop == "none"
    assert [len(data.clips(part)) for part in ("train", "test")] == [2, 2]
    assert not {data.sentences[row.clip_id] for row in data.clips("test")} & {
        data.sentences[row.clip_id] for row in data.clips("train")
    }
    assert data.prepared_clips() is data.prepared_clips()


def test_more_windows_than_clips(crema_d_cache: Path) -> None:
    data = module(crema_d_cache, max_clips=2, windows_per_clip=10, window_frames=20)
    batches = list(data.train_dataloader())
    assert len(batches) == 5
    assert len({int(start) for batch in batches for start in batch["start"]}) > 4


class Recorder(LightningModule):
    """Keeps what it is served; one weight, so that there is something to train."""

    def __init__(self, scheduled: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.seen: list[tuple[str, int, float]] = []
        self.scheduled = scheduled

    def training_step(self, batch: TalkingFaceBatch, batch_idx: int) -> Tensor:
        self.seen += list(
            zip(batch["clip_id"], batch["start"].tolist(), batch["frame_times"][:, 0].tolist(), strict=True)
        )
        return self.weight * batch["frames"].float().mean()

    def validation_step(self, batch: TalkingFaceBatch, batch_idx: int) -> None:
        assert batch["frames"].dtype == torch.uint8

    def configure_optimizers(self) -> torch.optim.Optimizer:
        if self.scheduled:
            # as a one-cycle does: Lightning takes the loader for it, before it restores a checkpoint's loops
            assert self.trainer.estimated_stepping_batches == 10
        return torch.optim.SGD(self.parameters(), 1e-6)


def fit(
    folder: Path,
    cache: Path,
    steps: int,
    workers: int = 0,
    resume: Path | None = None,
    limit: int | None = None,
    every: int = 1000,
    scheduled: bool = False,
) -> Recorder:
    trainer = Trainer(
        default_root_dir=folder,
        max_steps=steps,
        # without a limit of epochs Lightning knows the number of steps without the data
        max_epochs=3 if scheduled else None,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        limit_train_batches=limit,
        val_check_interval=3,
        callbacks=[ModelCheckpoint(folder, "{step}", every_n_train_steps=every, save_top_k=-1)],
    )
    model = Recorder(scheduled)
    trainer.fit(model, module(cache, num_workers=workers, batch_size=4, seed=1), ckpt_path=resume)
    return model


@pytest.mark.filterwarnings("error:.*dataloader is not resumable")
@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_fit_sees_what_an_uninterrupted_one_sees(
    tmp_path: Path, crema_d_cache: Path, workers: int
) -> None:
    """18 training clips make 4 batches: saved inside an epoch, at its last batch, and in the next."""
    whole = fit(tmp_path / "whole", crema_d_cache, 10, every=1)
    batches = [whole.seen[first : first + 4] for first in range(0, 40, 4)]
    assert len({tuple(batch) for batch in batches}) == 10
    for step in (3, 4, 5) if workers == 0 else (5,):
        resumed = fit(
            tmp_path / f"{step}", crema_d_cache, 10, workers, tmp_path / "whole" / f"step={step}.ckpt"
        )
        assert resumed.seen == whole.seen[4 * step :]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("steps", "settings"),
    [(8, {"limit": 3}), (10, {"scheduled": True})],
    ids=["epochs cut short", "a schedule that asks for the steps"],
)
def test_a_resumed_fit_draws_no_batch_before_it_knows_where_it_is(
    tmp_path: Path, crema_d_cache: Path, steps: int, settings: dict[str, Any], workers: int
) -> None:
    whole = fit(tmp_path / "whole", crema_d_cache, steps, every=1, **settings)
    saved = tmp_path / "whole" / "step=5.ckpt"
    resumed = fit(tmp_path / "more", crema_d_cache, steps, workers, saved, **settings)
    assert resumed.seen == whole.seen[20:]


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_workers_leave_requeueing_and_the_end_to_the_fit(crema_d_cache: Path, number: signal.Signals) -> None:
    loader = module(crema_d_cache, num_workers=1).train_dataloader()
    batches, others = iter(loader), multiprocessing.active_children()
    next(batches)
    (worker,) = set(multiprocessing.active_children()) - set(others)
    assert worker.pid is not None
    os.kill(worker.pid, number)
    assert len(list(batches)) == len(loader) - 1 and worker.is_alive()


def test_a_second_sigterm_ends_a_worker(crema_d_cache: Path) -> None:
    loader = module(crema_d_cache, num_workers=1).train_dataloader()
    batches, others = iter(loader), multiprocessing.active_children()
    next(batches)
    (worker,) = set(multiprocessing.active_children()) - set(others)
    for _ in range(100):  # the first is the fit's, and takes the worker a moment
        with contextlib.suppress(RuntimeError):  # wherever torch hears of the end
            worker.terminate()
            worker.join(0.1)
        if not worker.is_alive():
            break
    assert worker.exitcode == -signal.SIGTERM
    del batches


def test_loaders_leave_the_global_random_state_alone(crema_d_cache: Path) -> None:
    before = torch.get_rng_state()
    next(iter(module(crema_d_cache).train_dataloader()))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ("batch_size 64 on 1 device", {"batch_size": 64}),
        ("shorter than a window of 4000 frames", {"window_frames": 4000}),
        ("do not fit in window_frames", {"num_frames": 41}),
        ("num_frames must be at least 1", {"num_frames": 0}),
        ("speaker_exponent must lie between 0 and 1", {"windows_per_speaker": 2, "speaker_exponent": 1.5}),
        ("says nothing without windows_per_speaker", {"speaker_exponent": 0.5}),
        ("are 64 x 64 pixels, image_size is 128", {"image_size": 128}),
        ("unknown split", {"split": "random"}),
        ("dev/ or test/", {"split": "official"}),
    ],
)
def test_wrong_arguments(crema_d_cache: Path, words: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=words):
        module(crema_d_cache, **arguments).train_dataloader()


def test_windows_that_fill_no_batch_are_refused_before_the_fit_however_many_clips(
    crema_d_cache: Path,
) -> None:
    """18 training clips of three speakers: a window of each speaker, or of the longest clip alone."""
    longest = max(row.frames for row in module(crema_d_cache).clips("train"))
    for few in ({"windows_per_speaker": 1}, {"window_frames": longest}):
        data = module(crema_d_cache, batch_size=18, **few)
        data.check_data("validate", data)
        with pytest.raises(InputError, match=r"batch_size 18 on 1 device\(s\) is more than the \d+ windows"):
            data.check_data("fit", data)
    module(crema_d_cache, batch_size=18, windows_per_speaker=6).check_data("fit", None)
    module(crema_d_cache, batch_size=18).check_data("fit", None)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_cache_file_is_named_in_one_line(workers: int, crema_d_cache: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(crema_d_cache, cache)
    data = module(cache, num_workers=workers)
    for row in data.clips("train"):
        path = cache / row.cache_file
        whole = bytearray(path.read_bytes())
        whole[-100] ^= 1  # of the last frame, which not every window serves
        whole[-row.frames * 3 * 64 * 64] ^= 1  # of the first, which every window does
        path.write_bytes(bytes(whole))
    with pytest.raises(
        InputError, match=r"^the cached clip .*\.safetensors cannot be used .* run `s2v prepare --verify` .*$"
    ) as raised:
        next(iter(data.train_dataloader()))
    assert "\n" not in str(raised.value)


def test_synthetic_faces_make_themselves(tmp_path: Path) -> None:
    data = SyntheticFaces(
        str(tmp_path / "cache"),
        num_speakers=1,
        clips_per_speaker=3,
        root=str(tmp_path / "corpus"),
        image_size=64,
        num_workers=0,
        batch_size=1,
    )
    data.prepare_data()
    assert len(list(data.train_dataloader())) == 1
    data.prepare_data()


@pytest.mark.parametrize("name", ["CremaD", "VoxCeleb2", "VideoFolder", "SyntheticFaces"])
def test_kinds_are_configurable_from_yaml(name: str) -> None:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser()
    parser.add_subclass_arguments(TalkingFaceDataModule, "data")
    settings = parser.parse_object(
        {
            "data": {
                "class_path": f"data_modules.{name}",
                "init_args": {
                    "cache_dir": "/tmp/x",
                    "split": "unseen",
                    "speakers": ["a"],
                    "window_frames": 30,
                },
            }
        }
    )
    data = parser.instantiate(settings).data
    assert type(data).__name__ == name
    assert (data.split, data.window_frames, data.num_frames) == ("unseen", 30, 16)


def test_a_fit_that_finds_another_kind_of_unfinished_cache_says_whose_the_options_are(tmp_path: Path) -> None:
    root, cache = write_speakers(tmp_path / "corpus", 3), tmp_path / "cache"
    prepare(root, "folder", cache, size=24, progress=False)
    (cache / "unfinished").touch()
    data = VideoFolder(str(cache), image_size=16, window_frames=20, root=str(root))
    with pytest.raises(
        InputError, match=r"--overwrite.*; options with -- are those of `s2v prepare`, which can be"
    ):
        data.prepare_data()
