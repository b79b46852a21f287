from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from s2v.errors import InputError
from s2v.models.face_network import FaceNetwork
from s2v.modules.face_source import load_face_network
from s2v.modules.face_teacher import FaceTeacher
from s2v.weight_files.face_kinds import FACE_KINDS
from tests.s2v.modules.own_faces import Colours
from tests.s2v.modules.small_faces import (
    EMOTIONS,
    SPEAKERS,
    Losses,
    SmallFaces,
    batch_of,
    draw_clip,
    trainer,
)
from tests.s2v.modules.small_modules import IDENTITY, senet, vggface


def teacher(labels: Any = "speaker", **settings: Any) -> FaceTeacher:
    torch.manual_seed(0)
    network = vggface() if labels == "speaker" else senet()
    return FaceTeacher(network, labels=labels, **{"lr": 5e-3, "label_smoothing": 0.0} | settings)


@pytest.mark.slow
@pytest.mark.parametrize(("labels", "names"), [("speaker", SPEAKERS), ("emotion", EMOTIONS)])
def test_learns_a_handful_of_faces(tmp_path: Path, labels: str, names: list[str]) -> None:
    module, losses = teacher(labels), Losses("train/cross_entropy")
    fit = trainer(tmp_path, losses, max_steps=25, max_epochs=-1)
    fit.fit(module, datamodule=SmallFaces(pictures=4))
    assert sum(losses.values[-5:]) / 5 < 0.2 * losses.values[0]
    assert module.class_names == names
    (logged,) = fit.test(module, datamodule=SmallFaces(pictures=4), verbose=False)
    assert logged["test/accuracy"] > 0.9
    fit.save_checkpoint(tmp_path / "teacher.ckpt")

    # the same as a test of its own does it: a module that has not seen the data, and a checkpoint
    (again,) = trainer(tmp_path).test(
        teacher(labels), datamodule=SmallFaces(), ckpt_path=tmp_path / "teacher.ckpt", verbose=False
    )
    assert again["test/accuracy"] == logged["test/accuracy"]
    other = SmallFaces()
    other.speakers, other.emotions = ["dee", "eve", "fay"], ["cross", "sad"]
    with pytest.raises(InputError, match=rf"was trained on {labels}s \['{names[0]}'"):
        trainer(tmp_path).test(
            teacher(labels), datamodule=other, ckpt_path=tmp_path / "teacher.ckpt", verbose=False
        )


def test_the_network_needs_an_output_for_each_class(tmp_path: Path) -> None:
    data = SmallFaces()
    data.speakers = ["ann", "bob", "cyd", "dee"]
    with pytest.raises(
        InputError, match=r"has 3 classes but the data has 4 \(ann, bob, cyd, dee\): .*num_classes=4"
    ):
        trainer(tmp_path, max_steps=1).fit(teacher(), datamodule=data)
    data.speakers.append("eve")
    with pytest.raises(InputError, match=r"the data has 5 \(ann, bob, cyd, dee, \.\.\.\): "):
        trainer(tmp_path, max_steps=1).fit(teacher(), datamodule=data)


def test_unlabelled_clips_are_left_out() -> None:
    module = teacher("emotion").eval()
    batch = batch_of([draw_clip(index) for index in range(4)])
    logged: dict[str, Any] = {}
    module.log = lambda name, value, **_: logged.update({name: value})  # type: ignore[method-assign, assignment]
    batch["emotion"] = torch.tensor([-1, 0, -1, 1])
    part = batch_of([draw_clip(1), draw_clip(3)])
    part["emotion"] = torch.tensor([0, 1])
    assert module._step(batch, "val") == module._step(part, "val")
    logged.clear()
    batch["emotion"] = torch.full((4,), -1)
    assert module._step(batch, "val") == 0 and not logged
    module._step(batch, "train").backward()  # with several processes, the others wait for gradients
    assert all(float(p.grad.abs().sum()) == 0 for p in module.parameters() if p.grad is not None)


def test_data_without_labels_teach_nothing(tmp_path: Path) -> None:
    data = SmallFaces()
    data.emotions = []
    with pytest.raises(InputError, match=r"has a label of the kind 'emotion': .*emotion_teacher=senet:FILE"):
        trainer(tmp_path, max_steps=1).fit(teacher("emotion"), datamodule=data)


def test_augmentation_moves_and_lights_each_face_but_keeps_it_a_picture() -> None:
    torch.manual_seed(0)
    faces = draw_clip(0)["frames"].float()
    still = teacher(shift=0.0, light=0.0).augment(faces)
    torch.testing.assert_close(still, faces, atol=1e-3, rtol=0)
    moved = teacher().augment(faces[:1].repeat(8, 1, 1, 1))
    assert moved.shape == (8, 3, 32, 32) and moved.min() >= 0 and moved.max() <= 255
    assert len({face.sum().item() for face in moved}) == 8
    # a shift of 0.1 moves by at most 3.2 pixels: the middle of a wide bar stays
    bar = torch.zeros(1, 3, 32, 32)
    bar[..., 8:24] = 200
    moved = teacher(shift=0.1, light=0.0).augment(bar.repeat(8, 1, 1, 1))
    assert (moved[..., 12:20] > 199).all() and (moved[..., :4] < 1).all() and (moved[..., 28:] < 1).all()


def test_faces_are_changed_in_training_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    module, changed = teacher(), list[int]()

    def augment(faces: Tensor) -> Tensor:
        changed.append(len(faces))
        return faces

    monkeypatch.setattr(module, "augment", augment)
    monkeypatch.setattr(module, "log", lambda *_, **__: None)
    batch = batch_of([draw_clip(0), draw_clip(1)], pictures=3)
    module.validation_step(batch, 0)
    module.test_step(batch, 0)
    assert changed == []
    module.training_step(batch, 0)
    assert changed == [6]


def test_augmentation_moves_by_up_to_its_share_of_the_side() -> None:
    """A quarter of 32 pixels, in both directions."""
    torch.manual_seed(0)
    spots = torch.zeros(64, 3, 32, 32)
    spots[..., 16, 16] = 255
    places = teacher(shift=0.25, light=0.0).augment(spots)[:, 0].flatten(1).argmax(dim=1)
    for moved in (places // 32 - 16, places % 32 - 16):
        assert -8 <= moved.min() <= -7 and 7 <= moved.max() <= 8


def test_augmentation_lights_by_up_to_its_share() -> None:
    """Black is raised by up to a tenth of white; between 0 and 100 up to a tenth comes or goes."""
    torch.manual_seed(0)
    faces = torch.full((200, 3, 8, 8), 100.0)
    faces[..., :4] = 0
    lit = teacher(shift=0.0, light=0.1).augment(faces)
    black, grey = lit[:, 0, 0, 1], lit[:, 0, 0, 6]
    assert black.min() == 0 and 24 < black.max() <= 25.5
    contrast = (grey - black)[black > 0]
    assert 90 <= contrast.min() < 92 and 108 < contrast.max() <= 110


def test_the_weight_decay_is_adamws(tmp_path: Path) -> None:
    module = teacher(weight_decay=0.3)
    module.trainer = trainer(tmp_path, max_steps=5, max_epochs=-1)
    assert module.configure_optimizers()["optimizer"].param_groups[0]["weight_decay"] == 0.3


def test_loads_a_teacher_as_it_was_trained(teachers_dir: Path) -> None:
    loaded = load_face_network(str(teachers_dir / "identity.ckpt"))
    assert isinstance(loaded, FaceTeacher) and not loaded.training
    assert loaded.class_names == SPEAKERS and loaded.labels == "speaker"
    batch = batch_of([draw_clip(index) for index in range(3)])
    outputs = loaded(batch["still"])
    assert outputs["embedding"].shape == (3, IDENTITY)
    assert outputs["logits"].argmax(dim=1).tolist() == batch["speaker"].tolist()
    assert [m.shape[-1] for m in loaded.feature_maps(batch["still"])] == [2, 4, 8]


def test_loads_published_weights_by_kind(tmp_path: Path) -> None:
    from s2v.models.mobilefacenet import MobileFaceNet

    torch.manual_seed(0)
    network = MobileFaceNet().eval()
    torch.save(network.state_dict(), tmp_path / "face.pt")
    loaded = load_face_network(f"mobilefacenet:{tmp_path / 'face.pt'}")
    assert isinstance(loaded, FaceNetwork) and not loaded.training
    faces = torch.rand(2, 3, 64, 64) * 255
    torch.testing.assert_close(loaded(faces)["embedding"], network(faces)["embedding"])


OWN = "class:tests.s2v.modules.own_faces"


@pytest.mark.parametrize(("name", "kind"), [("fer.hdf5", "mini_xception"), ("face.onnx", "onnx")])
def test_published_weights_without_their_kind_say_how(name: str, kind: str) -> None:
    with pytest.raises(InputError, match=f"say what it holds, {kind}:{name}"):
        load_face_network(name)


def test_a_network_of_ones_own_by_its_class(tmp_path: Path) -> None:
    faces = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    network = Colours()
    torch.save(network.state_dict(), tmp_path / "colours.pt")
    loaded = load_face_network(f"{OWN}.Colours:{tmp_path / 'colours.pt'}")
    assert isinstance(loaded, FaceNetwork) and not loaded.training
    colours = faces.float().mean(dim=(2, 3))
    outputs = loaded(faces)
    torch.testing.assert_close(outputs["embedding"], colours, atol=0.5, rtol=0)  # resized
    torch.testing.assert_close(outputs["logits"], network.classes(outputs["embedding"]), rtol=0, atol=0)
    assert [maps.shape[-1] for maps in loaded.feature_maps(faces)] == [4, 8, 16]
    assert load_face_network(f"{OWN}.Colours")(faces)["logits"].shape == (2, 2)


def test_what_is_no_network_of_ones_own_is_one_line(tmp_path: Path) -> None:
    torch.save({"classes.weight": torch.zeros(2, 3)}, tmp_path / "half.pt")
    for source, says in [
        (f"{OWN}.Gone", "tests.s2v.modules.own_faces has no class Gone"),
        ("class:no_such_module.Face", "No module named 'no_such_module'"),
        (f"{OWN}.Nothing", "is no torch.nn.Module"),
        (f"{OWN}.Wide", "can't be made without arguments: .*'width'"),
        (f"{OWN}.Colours:{tmp_path / 'half.pt'}", "half.pt does not fit Colours: missing classes.bias"),
        (f"{OWN}.Colours:{tmp_path / 'none.pt'}", "no weights at"),
    ]:
        with pytest.raises(InputError, match=says) as refusal:
            load_face_network(source)
        assert "\n" not in str(refusal.value)
    with pytest.raises(
        InputError, match="Silent has to give a dict with embedding, logits or both, not Tensor"
    ):
        load_face_network(f"{OWN}.Silent")(torch.zeros(1, 3, 8, 8))


def test_what_is_no_teacher_is_one_line(tmp_path: Path) -> None:
    built_in_python, other = tmp_path / "python.ckpt", tmp_path / "other.ckpt"
    fit = trainer(tmp_path)
    fit.strategy.connect(teacher())
    fit.save_checkpoint(built_in_python)
    torch.save({"state_dict": {"cpc.weight": torch.zeros(2)}}, other)
    for source, says in [
        (str(built_in_python), "can't be loaded as FaceTeacher"),
        (str(other), "is no face teacher"),
        (str(tmp_path / "none.ckpt"), "no file at"),
        ("facenet:weights.pt", "unknown kind of face network 'facenet'"),
        (f"vggface:{tmp_path / 'none.pt'}", "no weights at"),
    ]:
        with pytest.raises(InputError, match=says) as refusal:
            load_face_network(source)
        assert "\n" not in str(refusal.value) and source.partition(":")[2] in str(refusal.value)


def test_commands_name_the_kinds_that_there_are() -> None:
    with pytest.raises(InputError) as refusal:
        load_face_network("facenet:weights.pt")
    assert str(refusal.value).endswith(f"expected one of {', '.join(FACE_KINDS)}, class")


def test_a_single_person_teaches_nothing() -> None:
    data = SimpleNamespace(speakers=["ann"], emotions=["anger", "fear"])
    with pytest.raises(InputError, match="the data has one speaker alone, ann: a teacher learns to tell two"):
        FaceTeacher(vggface(), "speaker").check_data("fit", data)
