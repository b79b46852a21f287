import math
from pathlib import Path

import pytest
import torch
from einops import rearrange
from torch import Tensor

from s2v.errors import InputError
from s2v.metrics.mfcc import mfcc
from s2v.models.syncnet import SyncNet
from s2v.modules.syncnet_training import SyncNetTraining
from tests.s2v.modules.small_faces import FRAMES, Losses, SmallFaces, batch_of, draw_clip, trainer

WINDOWS = FRAMES - 5  # 20 MFCC steps reach a little further than five frames


def training(**settings: float) -> SyncNetTraining:
    torch.manual_seed(0)
    return SyncNetTraining(SyncNet(image_size=64, width=0.0625), **settings)  # type: ignore[arg-type]


@pytest.mark.slow
def test_learns_to_match_a_handful_of_clips(tmp_path: Path) -> None:
    module, losses = training(lr=1e-2, shift=0.0, light=0.0), Losses("train/matching")
    data = SmallFaces(clips=4, batch_size=4)
    trainer(tmp_path, losses, max_steps=50, max_epochs=-1).fit(module, datamodule=data)
    assert losses.values[-1] < 0.7 * math.log(WINDOWS)
    (logged,) = trainer(tmp_path, limit_val_batches=None).validate(module, datamodule=data, verbose=False)
    assert logged["val/matching_chance"] == pytest.approx(math.log(WINDOWS))
    assert logged["val/within_tolerance"] > 0.6 and logged["val/prefers_true"] > 0.75


def test_sliding_over_a_clip_equals_each_window_alone() -> None:
    module = training().eval()
    batch = batch_of([draw_clip(0), draw_clip(1)])
    lips, speech = module(batch["frames"], batch["speech"])
    assert lips.shape == speech.shape == (2, WINDOWS, 64)
    faces = module.syncnet.prepare_lips(batch["frames"][1])
    features = mfcc(batch["speech"][1:] * 32768.0)[0]
    for window in (0, 3, WINDOWS - 1):
        alone = module.syncnet.embed_lips(rearrange(faces[window : window + 5], "t c h w -> 1 c t h w"))
        torch.testing.assert_close(lips[1, window], alone[0], rtol=1e-4, atol=1e-5)
        sound = rearrange(features[4 * window : 4 * window + 20], "m s -> 1 1 s m")
        alone = module.syncnet.embed_speech(sound)
        torch.testing.assert_close(speech[1, window], alone[0], rtol=1e-4, atol=1e-5)


def logged_of(lips: Tensor, speech: Tensor, stage: str = "validation", **settings: float) -> dict[str, float]:
    """What a validation, or a test, logs of clips with these embeddings (B, P, D)."""
    module, logged = training(**settings), dict[str, float]()
    module.forward = lambda *_: (lips, speech)  # type: ignore[method-assign]
    module.log = lambda name, value, **_: logged.update({name: float(value)})  # type: ignore[method-assign, assignment]
    getattr(module, f"{stage}_step")(batch_of([draw_clip(0)]), 0)
    return logged


def test_windows_next_to_the_true_one_are_within_the_tolerance() -> None:
    """Each lip window is nearest to the speech before its own, the first two to the second, as the first is noise."""
    lips = torch.arange(10.0).view(1, 10, 1)
    speech = lips + 1
    speech[:, 0] = 100
    for tolerance, share in [(0, 0.1), (1, 1.0), (2, 1.0)]:
        found = logged_of(lips, speech, tolerance=tolerance)
        assert found["val/within_tolerance"] == pytest.approx(share)


def test_true_speech_is_compared_with_speech_of_5_to_15_frames_away() -> None:
    """Of 24 windows; speech of another distance in time, which lies nearer than the true one here, does not count."""
    away = (torch.arange(24)[:, None] - torch.arange(24)).abs()
    nearness = torch.where(away == 0, 1.0, 2.0).masked_fill((away > 5) & (away < 15), 0.0)
    found = logged_of(nearness.unsqueeze(0), torch.eye(24).unsqueeze(0))
    # of 2 * (24 - d) pairs at each distance d, 308 in all, those of 5 and 15 are nearer: 38 and 18
    assert found["val/prefers_true"] == pytest.approx(1 - 56 / 308)


@pytest.mark.parametrize("windows", [5, 6])
def test_a_clip_too_short_for_speech_of_5_frames_away_does_not_count(windows: int) -> None:
    """Its nan was that of the whole test."""
    found = logged_of(torch.randn(1, windows, 2), torch.randn(1, windows, 2), "test")
    assert ("test/prefers_true" in found) == (windows == 6)
    assert not any(math.isnan(value) for value in found.values())


def test_augmentation_is_alike_for_all_frames_of_a_clip() -> None:
    module = training(shift=0.1, light=0.2)
    face = torch.rand(1, 3, 64, 64) * 255
    moved = module.augment(face.repeat(6, 1, 1, 1), clips=2)
    for clip in moved.split(3):
        assert torch.equal(clip[0], clip[1]) and torch.equal(clip[0], clip[2])
    assert not torch.equal(moved[0], moved[3])
    assert moved.min() >= 0 and moved.max() <= 255


def test_pictures_are_changed_in_training_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    module, changed = training(), list[int]()
    batch = batch_of([draw_clip(0), draw_clip(1)])

    def augment(faces: Tensor, clips: int) -> Tensor:
        changed.append(clips)
        return faces

    monkeypatch.setattr(module, "augment", augment)
    module.eval()(batch["frames"], batch["speech"])
    assert changed == []
    module.train()(batch["frames"], batch["speech"])
    assert changed == [2]


def test_half_of_the_clips_are_mirrored_as_a_whole_where_asked() -> None:
    faces = torch.rand(40, 3, 8, 8) * 255
    kept = training(shift=0.0, light=0.0).augment(faces, clips=20)
    assert torch.equal(kept, faces)
    made = training(shift=0.0, light=0.0, flip=True).augment(faces, clips=20)
    mirrored = [
        torch.equal(clip, own.flip(-1)) for clip, own in zip(made.split(2), faces.split(2), strict=True)
    ]
    as_it_was = [torch.equal(clip, own) for clip, own in zip(made.split(2), faces.split(2), strict=True)]
    assert [not one for one in mirrored] == as_it_was and 3 < sum(mirrored) < 17


@pytest.mark.parametrize("verb", ["fit", "validate", "test"])
def test_another_rate_than_syncnets_is_one_line(verb: str, tmp_path: Path) -> None:
    data = SmallFaces()
    data.fps, data.cache_dir = 50.0, tmp_path
    with pytest.raises(InputError, match=r"stored at 50 frames a second.* at 25: prepare them anew"):
        getattr(trainer(tmp_path, max_steps=1), verb)(training(), datamodule=data)


def test_the_weight_decay_is_adamws(tmp_path: Path) -> None:
    module = training(weight_decay=0.3)
    module.trainer = trainer(tmp_path, max_steps=5, max_epochs=-1)
    assert module.configure_optimizers()["optimizer"].param_groups[0]["weight_decay"] == 0.3


def test_pictures_must_be_all_of_the_speechs() -> None:
    batch = batch_of([draw_clip(0)], pictures=8)
    with pytest.raises(
        InputError, match=r"8 pictures came with speech of 16 frames: set .*num_frames to window_frames"
    ):
        training()(batch["frames"], batch["speech"])


@pytest.mark.parametrize("frames", [5, 6, 10])
def test_windows_without_two_instants_to_tell_apart_are_one_line(frames: int, tmp_path: Path) -> None:
    """Five frames ended in an IndexError, of six the loss was always 0, up to ten there was no best checkpoint."""
    data = SmallFaces()
    data.window_frames = frames
    with pytest.raises(InputError, match=rf"takes 11 or more: raise .*window_frames from {frames}"):
        trainer(tmp_path, max_steps=1).fit(training(), datamodule=data)


def test_a_clip_shorter_than_a_window_is_one_line() -> None:
    batch = batch_of([draw_clip(0)])
    for frames in (4, 5):
        with pytest.raises(InputError, match=f"in 6 frames or more, but a clip has {frames}"):
            training()(batch["frames"][:, :frames], batch["speech"][:, : frames * 640])
    lips, _ = training().eval()(batch["frames"][:, :6], batch["speech"][:, : 6 * 640])
    assert lips.shape[1] == 1
