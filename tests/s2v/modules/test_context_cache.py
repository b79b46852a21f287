"""Stage 1 on cached contexts: the same losses, no speech encoder at work, and nothing stale."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from safetensors.torch import load_file

from data_modules.speech_augmentation import SpeechAugmentation
from s2v.errors import InputError
from s2v.models.cpc import CPC
from s2v.models.speaker_encoder import SpeakerEncoder
from s2v.models.speech_representation import SpeechRepresentation
from s2v.models.students import StudentHead
from s2v.modules.context_cache import for_frames, for_students, heard_windows
from s2v.modules.distill import DistillModule
from tests.s2v.modules.small_faces import trainer
from tests.s2v.modules.small_modules import EMOTION, IDENTITY, distill
from tests.s2v.modules.test_teacher_cache import Logged, faces


def encoders(voice: bool) -> SpeechRepresentation:
    torch.manual_seed(0)
    identity, emotion = StudentHead(16, 8, out_dim=4), StudentHead(16, 8, out_dim=3)
    speaker = SpeakerEncoder(hidden=8, out_dim=16, layers=1) if voice else None
    return SpeechRepresentation(CPC(16, 16), identity, emotion, speaker).eval()


# at 32 frames a second a frame has 500 samples, and windows begin between latents
@pytest.mark.parametrize(("each", "voice"), [(640, False), (640, True), (320, False), (500, False)])
def test_a_window_is_heard_as_it_is_alone(each: int, voice: bool) -> None:
    representation, frames, window = encoders(voice), 31, 12
    speech = 0.1 * torch.randn(frames * each)
    times = (torch.arange(frames) + 0.5) * each / 16000
    heard = heard_windows(representation, speech, frames, window, for_students, times)
    alone = speech.unfold(0, window * each, each)
    assert len(alone) == 20
    with torch.no_grad():
        assert torch.allclose(heard["omega"], representation.contexts(alone)[:, -1], atol=1e-6)
        assert heard["omega"].std(0).min() > 1e-3
        vectors = representation.voice(alone)
        if vectors is not None:
            assert torch.allclose(heard["voice"], vectors, atol=1e-6)
    assert sorted(heard) == (["omega", "voice"] if voice else ["omega"])
    told = heard_windows(representation, speech, frames, window, for_frames, times)
    with torch.no_grad():
        expected = representation(alone, times[:window].expand(len(alone), -1))
    for name, values in zip(("contexts", "nu", "mu"), expected, strict=True):
        assert torch.allclose(told[name], values, atol=1e-6), name


def test_a_clip_shorter_than_a_window_has_a_file_too() -> None:
    speech, times = torch.randn(6400), (torch.arange(10) + 0.5) / 25
    assert heard_windows(encoders(False), speech, 10, 40, for_students, times)["omega"].shape == (1, 16)
    assert heard_windows(encoders(False), speech, 10, 40, for_frames, times)["contexts"].shape == (1, 10, 16)


def test_the_losses_are_those_of_the_encoder_itself(
    teachers: dict[str, Any], crema_d_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = Logged().of(tmp_path, crema_d_cache, frames_per_clip=2, **teachers)
    kept = tmp_path / "contexts"
    cached = {"frames_per_clip": 2, "context_cache": str(kept), **teachers}
    filling = Logged().of(tmp_path, crema_d_cache, **cached)
    assert len(live) == 4 and filling == pytest.approx(live, rel=1e-5)
    files = {path: path.stat().st_mtime_ns for path in kept.rglob("*.safetensors")}
    assert len(files) == 12  # six clips of training, six of validation

    def no_speech(*_: Any) -> None:
        raise AssertionError("CPC heard speech although its contexts are cached")

    monkeypatch.setattr(CPC, "encode", no_speech)
    assert Logged().of(tmp_path, crema_d_cache, **cached) == filling
    assert {path: path.stat().st_mtime_ns for path in kept.rglob("*.safetensors")} == files


def test_the_kept_window_is_the_one_that_is_served(
    teachers: dict[str, Any], crema_d_cache: Path, tmp_path: Path
) -> None:
    made = distill(context_cache=str(tmp_path / "kept"), frames_per_clip=2, **teachers)
    data = faces(crema_d_cache)
    told = []
    take = made._kept_hearing

    def listen(batch: Any) -> Any:
        cached = take(batch)
        assert cached is not None and cached[1] is None
        told.append((cached[0] - made.hear(batch["speech"])[1][:, -1]).abs().max().item())
        return cached

    made._kept_hearing = listen  # type: ignore[method-assign]
    trainer(tmp_path, max_epochs=3, limit_val_batches=None, use_distributed_sampler=False).fit(
        made, datamodule=data
    )
    assert len(told) >= 6 and max(told) < 1e-5, told
    assert made._hearing is None  # another data module's windows would be others


def test_other_encoders_or_windows_are_other_files(
    teachers: dict[str, Any], crema_d_cache: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"

    def files(seed: int = 0, **settings: Any) -> int:
        made = distill(seed=seed, context_cache=str(kept), frames_per_clip=2, **teachers)
        trainer(tmp_path, max_steps=1).fit(made, datamodule=faces(crema_d_cache, **settings))
        return len(list(kept.rglob("*.safetensors")))

    assert files() == files() == 12
    assert files(window_frames=16) == 24
    assert files(seed=1) == 36  # other weights
    shapes = {load_file(path)["omega"].shape for path in kept.rglob("*.safetensors")}
    assert {size for _, size in shapes} == {16} and len({count for count, _ in shapes}) > 1


def test_a_kept_voice_is_that_of_the_speaker_encoder_at_hand(
    teachers: dict[str, Any], crema_d_cache: Path, tmp_path: Path
) -> None:
    kept, apart = tmp_path / "kept", list[float]()

    class Compare(pl.Callback):
        def on_train_batch_start(_, trainer: Any, module: Any, batch: Any, *__: Any) -> None:
            omega, voice = module._kept_hearing(batch)
            with torch.no_grad():
                heard = (module.hear(batch["speech"])[1][:, -1], module.representation.voice(batch["speech"]))
            apart.extend(
                (one - other).abs().max().item() for one, other in zip((omega, voice), heard, strict=True)
            )

    files = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        speaker = SpeakerEncoder(hidden=8, out_dim=16, layers=1)
        torch.manual_seed(0)  # all else is as it was
        heads = StudentHead(16, 8, out_dim=IDENTITY), StudentHead(16, 8, out_dim=EMOTION)
        made = DistillModule(
            SpeechRepresentation(CPC(16, 16), *heads, speaker),
            context_cache=str(kept),
            frames_per_clip=2,
            **teachers,
        )
        trainer(tmp_path, Compare(), max_steps=1).fit(made, datamodule=faces(crema_d_cache))
        files.append(len(list(kept.rglob("*.safetensors"))))
    assert len(apart) == 4 and max(apart) < 1e-5
    assert files == [12, 24]


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"finetune_cpc": True}, r"finetune_cpc trains it; leave one out"),
        ({"readouts": 4}, r"readouts is 4: others are read too; leave one out"),
    ],
)
def test_contexts_that_change_are_not_cached(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        distill(context_cache="kept", **settings)


def test_changed_speech_has_no_cached_contexts(
    teachers: dict[str, Any], crema_d_cache: Path, tmp_path: Path
) -> None:
    folders: dict[str, Any] = {
        "context_cache": str(tmp_path / "kept"),
        "teacher_cache": str(tmp_path / "features"),
    }
    made = distill(frames_per_clip=2, **folders, **teachers)
    data = faces(crema_d_cache, speech_augmentation=SpeechAugmentation())
    why = r"speech_augmentation changes it each time: set that to null"
    with pytest.raises(InputError, match=why):
        trainer(tmp_path, max_steps=1).fit(made, datamodule=data)
    assert list(tmp_path.iterdir()) == []  # nor have hours of teachers' work gone before
    with pytest.raises(InputError, match=why):
        made.check_data("fit", data)  # before loggers begin
    made.check_data("test", data)
