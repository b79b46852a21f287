"""Folders with loose files: clips whose speaker nobody knows are strangers to each other, not one person named ''."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from data_modules.preparation import prepare
from data_modules.video_folder import VideoFolder
from s2v.batch import WITHOUT_CONSENT
from s2v.errors import InputError
from s2v.models.vggface import VGGFace
from s2v.modules.face_teacher import FaceTeacher
from tests.conftest import BuildOnce
from tests.data_modules.media import tone, write_clip

LOOSE = ("k", "l", "m", "n")


def corpus(folder: Path, speakers: tuple[str, ...]) -> Path:
    """Three clips of each speaker in a subfolder, and four loose ones."""
    names = [f"{speaker}/{number}" for speaker in speakers for number in range(3)]
    for number, name in enumerate([*names, *LOOSE]):
        write_clip(folder / f"{name}.mp4", 1.2, sound=tone(1.2, pitch=200.0 + 20 * number))
    return folder


@pytest.fixture(scope="module")
def mixed(build_once: BuildOnce) -> Path:
    """The cache of two speakers' folders and four loose files."""

    def fill(folder: Path) -> None:
        root = corpus(folder / "corpus", ("ann", "bob"))
        prepare(root, "folder", folder / "cache", size=16, workers=2, progress=False)

    return build_once("mixed_folder", fill) / "cache"


@pytest.fixture(scope="module")
def flat(build_once: BuildOnce) -> Path:
    """The cache of four loose files."""

    def fill(folder: Path) -> None:
        root = corpus(folder / "corpus", ())
        prepare(root, "folder", folder / "cache", size=16, workers=2, progress=False)

    return build_once("flat_folder", fill) / "cache"


def data(cache: Path, **arguments: Any) -> VideoFolder:
    settings = {"image_size": 16, "num_workers": 0, "batch_size": 1, "window_frames": 20} | arguments
    return VideoFolder(str(cache), **settings)


def speakers_of(module: VideoFolder) -> dict[str, int]:
    """Clip id -> what the batches of all loaders call its speaker."""
    loaders = (module.train_dataloader(), module.val_dataloader(), module.test_dataloader())
    return {
        name: speaker
        for loader in loaders
        for batch in loader
        for name, speaker in zip(batch["clip_id"], batch["speaker"].tolist(), strict=True)
    }


def test_a_loose_file_has_no_speaker(mixed: Path, flat: Path) -> None:
    named = {f"{name}/{clip}": place for place, name in enumerate(("ann", "bob")) for clip in range(3)}
    assert data(mixed).speakers == ["ann", "bob"]
    assert speakers_of(data(mixed)) == named | dict.fromkeys(LOOSE, -1)
    assert data(flat).speakers == []
    assert speakers_of(data(flat)) == dict.fromkeys(LOOSE, -1)


def test_loose_files_are_each_a_speaker_of_one_clip(mixed: Path) -> None:
    """Six windows each; as one speaker the two loose ones would have 6 * 2 ** 0.5 = 8.5, eight, together."""
    module = data(mixed, windows_per_speaker=6, speaker_exponent=0.5)
    clips = Counter(row.speaker for row in module.clips("train"))
    assert clips == {"ann": 1, "bob": 1, "": 2}
    windows = Counter(name for batch in module.train_dataloader() for name in batch["clip_id"])
    assert windows == {row.clip_id: 6 for row in module.clips("train")}


def test_a_teacher_of_identity_does_not_learn_strangers_as_one_class(mixed: Path, flat: Path) -> None:
    def teacher(classes: int) -> FaceTeacher:
        return FaceTeacher(VGGFace(image_size=32, width=0.05, num_classes=classes), label_smoothing=0.0)

    torch.manual_seed(0)
    module = teacher(2)
    module.check_data("fit", data(mixed))
    with pytest.raises(InputError, match=r"3 classes but the data has 2 \(ann, bob\)"):
        teacher(3).check_data("fit", data(mixed))
    with pytest.raises(
        InputError, match=r"the kind 'speaker': .* needs a subfolder a speaker; or give stage 1"
    ):
        module.check_data("fit", data(flat))
    logged: dict[str, Any] = {}
    module.log = lambda name, value, **_: logged.update({name: value})  # type: ignore[method-assign, assignment]
    (batch,) = data(mixed, batch_size=4).train_dataloader()
    assert sorted(batch["speaker"].tolist()) == [-1, -1, 0, 1]
    assert module._step(batch, "train").isfinite() and "train/cross_entropy" in logged
    logged.clear()
    for batch in data(flat, batch_size=1).train_dataloader():
        assert module._step(batch, "train") == 0 and not logged


def test_each_stranger_who_was_not_asked_is_named(tmp_path: Path) -> None:
    root = corpus(tmp_path / "corpus", ("ann",))
    (tmp_path / "who.csv").write_text("speaker,consent\nann,yes\n")
    cache = tmp_path / "cache"
    settings: dict[str, Any] = {"size": 16, "progress": False, "consent": tmp_path / "who.csv"}
    prepare(root, "folder", cache, without_consent=True, **settings)
    (cache / "lists").mkdir()
    for part, names in {"train": ["ann/0", "k", "l"], "val": ["m"], "test": ["n"]}.items():
        (cache / "lists" / f"{part}.txt").write_text("\n".join(names) + "\n")
    assert data(cache, split=str(cache / "lists")).state_dict() == {WITHOUT_CONSENT: ["k", "l"]}
