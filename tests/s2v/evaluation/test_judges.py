"""Judges from checkpoints and published files, and one clear line where there is none."""

from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch

from s2v.errors import InputError
from s2v.evaluation.judges import (
    TRAINED_HERE,
    load_emotion_judge,
    load_face_judge,
    load_identity_judge,
    load_perceptual_judge,
    load_sync_judge,
)
from s2v.files.file_hash import sha256_of_file
from s2v.metrics.sync_confidence import sync_scores
from s2v.models.mobilefacenet import MobileFaceNet
from s2v.models.pictures_in_parts import PICTURES_ON_CPU
from s2v.models.syncnet import SyncNet
from s2v.modules.syncnet_training import SyncNetTraining
from tests.s2v.evaluation.judge_checkpoints import (
    save_alexnet,
    save_face_teacher,
    save_mouth_syncnet,
    save_syncnet,
)

SHARED_WEIGHTS = Path(__file__).parents[4] / "shared" / "weights"


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_face_teacher(tmp_path_factory.mktemp("judges") / "teacher.ckpt", ["HAP", "anger"])


@pytest.fixture(scope="module")
def speakers(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_face_teacher(
        tmp_path_factory.mktemp("judges") / "speakers.ckpt", ["ann", "ben", "cem"], "speaker"
    )


@pytest.fixture(scope="module")
def syncnet(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_syncnet(tmp_path_factory.mktemp("judges") / "syncnet.ckpt")


def test_a_fit_of_ours_is_a_judge(teacher: str) -> None:
    judge = load_emotion_judge(teacher)
    assert judge.class_names == ["happiness", "anger"]
    assert (judge.origin, judge.source) == (TRAINED_HERE, teacher)
    assert judge.sha256 == sha256_of_file(teacher)
    frames = torch.randint(0, 256, (PICTURES_ON_CPU + 3, 3, 40, 40), dtype=torch.uint8)
    logits = judge.look(frames, "logits")
    assert logits.shape == (PICTURES_ON_CPU + 3, 2)
    torch.testing.assert_close(logits[-1:], judge.look(frames[-1:], "logits"), rtol=1e-4, atol=1e-4)
    assert not judge.network.training


def test_frames_go_where_the_judge_is(teacher: str) -> None:
    """`s2v score --device` moves the judges alone. No GPU is needed to see where the frames come; only numbers are."""
    judge, places = load_emotion_judge(teacher), []
    judge.network.to("meta").register_forward_pre_hook(lambda _, faces: places.append(faces[0].device.type))
    with pytest.raises(NotImplementedError, match="meta"):
        judge.look(torch.zeros(1, 3, 32, 32, dtype=torch.uint8), "logits")
    assert places == ["meta"]


def test_an_emotion_judge_is_no_identity_judge(teacher: str) -> None:
    with pytest.raises(InputError, match=r"the identity judge .*teacher\.ckpt tells emotions apart"):
        load_identity_judge(teacher)


def test_an_identity_judge_keeps_its_names_but_is_no_emotion_judge(speakers: str) -> None:
    judge = load_face_judge(speakers)
    assert judge.class_names == ["ann", "ben", "cem"]
    assert judge.look(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), "embedding").shape[0] == 2
    with pytest.raises(InputError, match="does not classify emotions"):
        load_emotion_judge(speakers)
    assert load_identity_judge(speakers).class_names == judge.class_names
    with pytest.raises(InputError, match="gives no lips"):
        judge.look(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), "lips")


def test_a_sync_judge_scores(syncnet: str) -> None:
    judge = load_sync_judge(syncnet)
    frames = torch.randint(0, 256, (8, 3, 64, 64), dtype=torch.uint8)
    scores = sync_scores(judge.network, frames, torch.randint(-999, 999, (8 * 640,), dtype=torch.int16))
    assert scores.distance > 0
    assert judge.origin == TRAINED_HERE
    assert judge.mode == "stock"


def test_a_fit_of_the_small_network_is_scored_without_padding(tmp_path: Path) -> None:
    assert load_sync_judge(save_mouth_syncnet(tmp_path / "mouth.ckpt")).mode == "valid_only"


def test_wrong_files_are_one_line_each(teacher: str, syncnet: str, tmp_path: Path) -> None:
    empty, text, other = tmp_path / "empty.pt", tmp_path / "text.ckpt", tmp_path / "other.pt"
    empty.write_bytes(b"")
    text.write_text("version https://git-lfs.github.com/spec/v1\n")
    torch.save({"weight": torch.zeros(2)}, other)
    attempts = [
        (load_face_judge, str(tmp_path / "none.ckpt"), "no file"),
        (load_sync_judge, str(tmp_path / "none.ckpt"), "no file"),
        (load_face_judge, str(text), "checkpoint"),
        (load_sync_judge, str(text), "checkpoint"),
        (load_face_judge, str(empty), "is empty"),
        (load_face_judge, str(other), "state it as KIND:"),
        (load_face_judge, f"unheard_of:{other}", "unheard_of"),
        (load_face_judge, syncnet, "no face teacher"),
        (load_sync_judge, teacher, "no SyncNet"),
        (load_face_judge, "class:tests.s2v.modules.own_faces.Colours", "can teach, but judges are files"),
    ]
    for load, path, says in attempts:
        with pytest.raises(InputError) as refusal:
            load(path)
        message = str(refusal.value)
        assert says in message and path.rpartition(":")[2] in message, message
        assert "\n" not in message


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(
    teacher: str, syncnet: str, value: float, tmp_path: Path
) -> None:
    """Such an identity judge found every speaker, and such a SyncNet no lips within a frame."""
    for load, source, key in (
        (load_identity_judge, teacher, "face.network.classifier.bias"),
        (load_sync_judge, syncnet, "syncnet.netfclip.3.bias"),
    ):
        content = torch.load(source, weights_only=True)
        content["state_dict"][key][0] = value
        torch.save(content, tmp_path / "diverged.ckpt")
        with pytest.raises(
            InputError, match=rf"{key.rpartition('.')[2]} in .*diverged\.ckpt holds nan or inf"
        ):
            load(str(tmp_path / "diverged.ckpt"))
    state = SyncNet().state_dict()
    state["netfclip.3.bias"][0] = value
    torch.save(state, tmp_path / "published.model")
    with pytest.raises(InputError, match=r"netfclip\.3\.bias in .*published\.model holds nan or infinite"):
        load_sync_judge(str(tmp_path / "published.model"))
    state = MobileFaceNet().state_dict()
    state["bn.running_mean"][0] = value
    torch.save(state, tmp_path / "published.pt")
    with pytest.raises(InputError, match=r"the face judge: .*bn\.running_mean in .*published\.pt holds nan"):
        load_identity_judge(f"mobilefacenet:{tmp_path / 'published.pt'}")
    alexnet = save_alexnet(tmp_path / "alexnet.pth")
    state = torch.load(alexnet, weights_only=True)
    state["features.0.bias"][0] = value
    torch.save(state, alexnet)
    with pytest.raises(InputError, match=r"LPIPS' AlexNet: features\.0\.bias in .* holds nan or infinite"):
        load_perceptual_judge(alexnet)


@pytest.mark.skipif(not SHARED_WEIGHTS.is_dir(), reason="no published weights beside the checkout")
@pytest.mark.parametrize(
    ("name", "output", "width"),
    [("mobilefacenet.pt", "embedding", 128), ("fer2013_mini_XCEPTION.102-0.66.hdf5", "logits", 7)],
)
def test_published_weights_are_known_by_their_content(name: str, output: str, width: int) -> None:
    pytest.importorskip("s2v.weights")
    judge = load_face_judge(str(SHARED_WEIGHTS / name))
    seen = judge.look(torch.randint(0, 256, (2, 3, 112, 112), dtype=torch.uint8), output)
    assert seen.shape == (2, width)
    assert "published" in judge.origin
    emotions = [
        "anger",
        "disgust",
        "fear",
        "happiness",
        "sadness",
        "surprise",
        "neutral",
    ]  # as corpora's are spelt
    assert judge.class_names == (emotions if "XCEPTION" in name else [])


def test_a_syncnet_made_in_python_is_one_line(tmp_path: Path) -> None:
    """Its checkpoint has the weights and not the network's shape."""
    module = SyncNetTraining(SyncNet(image_size=64, width=0.0625))
    trainer = pl.Trainer(accelerator="cpu", logger=False, barebones=True)
    trainer.strategy.connect(module)
    trainer.save_checkpoint(tmp_path / "python.ckpt")
    with pytest.raises(InputError, match="can't be loaded as SyncNetTraining"):
        load_sync_judge(str(tmp_path / "python.ckpt"))
