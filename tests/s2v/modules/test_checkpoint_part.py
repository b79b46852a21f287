import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from s2v.errors import InputError
from s2v.modules.checkpoint_part import load_part, read_checkpoint


class Command:
    """Pickled, it would be called by a loader that executes what it reads."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return exec, ("raise SystemExit('executed')",)


def whole_file() -> bytes:
    stream = io.BytesIO()
    torch.save({"state_dict": {"weight": torch.randn(200, 200)}}, stream)
    return stream.getvalue()


def other_zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("readme.txt", "words")
    return stream.getvalue()


def pickled(content: object) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"these are words, not weights\n" * 40, "no readable checkpoint: truncated, damaged, of another kind"),
        (b"trainer:\n  max_steps: 4\n", "no readable checkpoint"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "is a Git-LFS pointer"),
        (b"<!DOCTYPE html><html><title>404</title></html>", "is a web page"),
        (b"\n <html>", "is a web page"),
        (whole_file()[:-40_000], "no readable checkpoint"),
        (whole_file()[:300], "no readable checkpoint"),
        (b"\0" * 5000, "no readable checkpoint"),
        (b"\x80\x04K", "no readable checkpoint"),
        (other_zip(), "no readable checkpoint"),
        (pickled({"state_dict": Command()}), "no readable checkpoint"),
        (pickled({"weight": torch.zeros(2)}), "has no state_dict"),
        (pickled([1, 2]), "has no state_dict"),
        (pickled({"state_dict": 3}), "has no state_dict"),
    ],
    ids=["empty", "words", "yaml", "lfs", "page", "page2", "cut", "cut-early", "zeros", "pickle",
         "zip", "code", "weights", "list", "number"],
)  # fmt: skip
def test_whatever_is_no_checkpoint_is_one_line(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "some.ckpt"
    path.write_bytes(content)
    with pytest.raises(InputError) as refusal:
        read_checkpoint(str(path), "stage 1")
    message = str(refusal.value)
    assert message.startswith("stage 1: ") and str(path) in message and says in message
    assert "\n" not in message and len(message) < len(str(path)) + 250


@pytest.mark.parametrize("name", ["none.ckpt", "."])
def test_no_file(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"stage 1: no file at .*; train it first or give another path"):
        read_checkpoint(str(tmp_path / name), "stage 1")


def test_reads_a_checkpoint(tmp_path: Path) -> None:
    torch.save({"state_dict": {"weight": torch.arange(3)}, "epoch": 4}, tmp_path / "some.ckpt")
    content = read_checkpoint(str(tmp_path / "some.ckpt"), "stage 1")
    assert content["epoch"] == 4 and content["state_dict"]["weight"].tolist() == [0, 1, 2]


def test_loads_the_part_under_a_prefix_and_nothing_else() -> None:
    torch.manual_seed(0)
    source, target = nn.Linear(3, 2), nn.Linear(3, 2)
    state = {f"student.{name}": value for name, value in source.state_dict().items()}
    load_part(target, state | {"teacher.weight": torch.zeros(9)}, "student.", "x.ckpt", "stage 1")
    torch.testing.assert_close(target.state_dict(), source.state_dict(), rtol=0, atol=0)


def test_names_what_does_not_fit() -> None:
    state = {"a.weight": torch.zeros(5, 3), "a.scale": torch.zeros(1)}
    with pytest.raises(InputError) as refusal:
        load_part(nn.Linear(3, 2), state, "a.", "x.ckpt", "stage 1")
    assert str(refusal.value) == (
        "stage 1: x.ckpt does not fit the configured network (missing: bias; unknown: scale; misshapen: "
        "weight (5, 3) instead of (2, 3)); use the same network settings as when it was trained"
    )
    many = {f"a.k{index}": torch.zeros(1) for index in range(5)}
    with pytest.raises(InputError, match=r"unknown: k0, k1, k2 \.\.\.\)"):
        load_part(nn.ReLU(), many, "a.", "x.ckpt", "stage 1")
