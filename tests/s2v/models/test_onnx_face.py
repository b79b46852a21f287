"""An ONNX file's network sees what it was told to see: networks written here byte by byte give their input back."""

import copy
from pathlib import Path

import pytest
import torch

from s2v.errors import InputError
from s2v.evaluation.judges import load_emotion_judge, load_face_judge
from s2v.files.file_hash import sha256_of_file
from s2v.modules.face_source import load_face_network
from tests.s2v.weight_files.test_onnx_input_shape import field, tensor_info

pytest.importorskip("onnxruntime")


def fixed(size: int) -> bytes:
    return b"\x08" + bytes([size])


FREE = field(2, b"n")


def flatten_network(path: Path, *dims: bytes) -> Path:
    """x of these dimensions -> Flatten -> y (B, the rest): its output is its input."""
    node = field(1, b"x") + field(2, b"y") + field(4, b"Flatten")
    shapes = field(11, tensor_info(b"x", list(dims))) + field(12, tensor_info(b"y", [FREE, field(2, b"m")]))
    graph = field(1, node) + field(2, b"g") + shapes
    long = bytes([7 << 3 | 2, len(graph) & 0x7F | 0x80, len(graph) >> 7]) if len(graph) > 127 else None
    path.write_bytes(b"\x08\x07" + (long + graph if long else field(7, graph)) + field(8, b"\x10\x0d"))
    return path


def test_order_mean_and_std_reach_the_network(tmp_path: Path) -> None:
    file = flatten_network(tmp_path / "face.onnx", FREE, fixed(3), fixed(1), fixed(1))
    red_green_blue = torch.tensor([[10.0, 20.0, 40.0], [0.0, 0.0, 255.0]]).view(2, 3, 1, 1)
    plain = load_face_network(f"onnx:{file}")(red_green_blue)["embedding"]
    assert plain.tolist() == [[10, 20, 40], [0, 0, 255]]
    bgr = load_face_network(f"onnx:{file}?order=bgr&mean=10,20,30&std=1,2,5")(red_green_blue)["embedding"]
    assert bgr.tolist() == [[2, 0, 0], [45, -10, -10]]
    one = load_face_network(f"onnx:{file}?mean=127.5&std=127.5")(red_green_blue.byte())["embedding"]
    torch.testing.assert_close(one[1], torch.tensor([-1.0, -1.0, 1.0]))


def test_pictures_are_resized_and_laid_out_as_the_file_wants(tmp_path: Path) -> None:
    faces = torch.rand(3, 3, 8, 8) * 255
    halved = torch.nn.functional.interpolate(faces, size=(4, 4), mode="bilinear", antialias=True)
    one_by_one = flatten_network(tmp_path / "one.onnx", fixed(1), fixed(3), fixed(4), fixed(4))
    network = load_face_network(f"onnx:{one_by_one}")
    torch.testing.assert_close(network(faces)["embedding"], halved.flatten(1))
    torch.testing.assert_close(copy.deepcopy(network)(faces)["embedding"], halved.flatten(1))
    last = flatten_network(tmp_path / "last.onnx", FREE, FREE, FREE, fixed(3))
    seen = load_face_network(f"onnx:{last}?size=4")(faces)["embedding"]
    torch.testing.assert_close(seen, halved.permute(0, 2, 3, 1).flatten(1))


def test_it_judges_by_hash_and_by_the_classes_named(tmp_path: Path) -> None:
    file = flatten_network(tmp_path / "face.onnx", FREE, fixed(3), fixed(1), fixed(1))
    frames = torch.tensor([[10, 20, 30]], dtype=torch.uint8).view(1, 3, 1, 1)
    for source in (str(file), f"onnx:{file}?size=1"):
        judge = load_face_judge(source)
        assert judge.sha256 == sha256_of_file(file) and judge.look(frames, "embedding").tolist() == [
            [10, 20, 30]
        ]
    emotions = load_emotion_judge(f"onnx:{file}?classes=HAP,sad,anger")
    assert emotions.class_names == ["happiness", "sadness", "anger"]
    assert emotions.look(frames, "logits").argmax() == 2
    with pytest.raises(InputError, match="does not classify emotions"):
        load_emotion_judge(f"onnx:{file}")
    with pytest.raises(InputError, match="has 3 outputs, but 2 classes are named"):
        load_emotion_judge(f"onnx:{file}?classes=HAP,sad").look(frames, "logits")


def test_what_does_not_fit_is_one_line(tmp_path: Path) -> None:
    file = flatten_network(tmp_path / "face.onnx", FREE, fixed(3), fixed(4), fixed(4))
    open_size = flatten_network(tmp_path / "open.onnx", FREE, fixed(3), FREE, FREE)
    no_picture = flatten_network(tmp_path / "none.onnx", FREE, fixed(7))
    text = tmp_path / "text.onnx"
    text.write_text("hello, this is text")
    for source, says in [
        (f"{file}?width=4", "unknown option 'width', expected size, mean"),
        (f"{file}?size=four", "size=four is no number"),
        (f"{file}?size=8", "is 4 pixels wide, but size=8"),
        (f"{file}?order=grb", "order is rgb or bgr"),
        (f"{file}?std=0", "std not 0"),
        (f"{file}?mean=1,2", "one number or three"),
        (f"{file}?name=z", "has no output 'z', only y"),
        (str(open_size), "leaves its input's size open"),
        (str(no_picture), "expected pictures"),
        (str(text), "can't be read as an ONNX network"),
        (str(tmp_path / "gone.onnx"), "no weights at"),
    ]:
        with pytest.raises(InputError, match=says) as refusal:
            load_face_network(f"onnx:{source}")
        assert "\n" not in str(refusal.value)
