"""LPIPS against torchmetrics' own copy of the published code, with random AlexNet weights."""

from pathlib import Path

import pytest
import torch
from torchmetrics.functional.image import lpips as published

from s2v.errors import InputError
from s2v.evaluation.judges import load_perceptual_judge
from s2v.evaluation.protocol import Protocol
from s2v.weights import load_lpips
from tests.s2v.evaluation.judge_checkpoints import save_alexnet
from tests.s2v.evaluation.talking_squares import square_clip


@pytest.fixture(scope="module")
def alexnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return Path(save_alexnet(tmp_path_factory.mktemp("lpips") / "alexnet.pth"))


def test_equals_the_published_code(alexnet: Path) -> None:
    theirs = published._LPIPS(pretrained=True, net="alex", pnet_rand=True)
    features = torch.load(alexnet, weights_only=True)
    for part in (
        theirs.net.slice1,
        theirs.net.slice2,
        theirs.net.slice3,
        theirs.net.slice4,
        theirs.net.slice5,
    ):
        for name, layer in part.named_children():
            if isinstance(layer, torch.nn.Conv2d):
                layer.load_state_dict({k: features[f"features.{name}.{k}"] for k in ("weight", "bias")})
    ours = load_lpips(alexnet)
    pictures, others = torch.randint(0, 256, (2, 3, 3, 70, 64), dtype=torch.uint8)
    with torch.no_grad():
        expected = theirs(pictures / 255, others / 255, normalize=True).flatten()
        found = ours(pictures, others)
    assert expected.min() > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)


def test_equal_pictures_are_at_zero_and_small_ones_refused(alexnet: Path) -> None:
    ours, pictures = load_lpips(alexnet), torch.randint(0, 256, (2, 3, 31, 31), dtype=torch.uint8)
    assert ours(pictures, pictures).tolist() == [0, 0]
    assert ours(pictures, 255 - pictures).min() > 0
    with pytest.raises(InputError, match="at least 31 pixels a side"):
        ours(pictures[..., 1:, :], pictures[..., 1:, :])
    with pytest.raises(InputError, match="of one size"):
        ours(pictures, pictures[:1])


def test_the_protocol_measures_it_where_weights_are_given(alexnet: Path) -> None:
    judge = load_perceptual_judge(str(alexnet))
    clip = square_clip("ann", "anger", seed=0)
    made = clip.real.flip(0)
    clip.generated = made
    protocol = Protocol(perceptual=judge)
    rows = protocol.add(clip)
    assert rows["ground_truth"].values["lpips"] == 0
    one_by_one = [float(judge.network(made[[t]], clip.real[[t]])) for t in range(len(made))]
    assert rows[protocol.systems[0]].values["lpips"] == pytest.approx(sum(one_by_one) / len(made), rel=1e-4)
    assert "lpips" not in Protocol().add(clip)["ground_truth"].values


def test_other_files_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file at"):
        load_perceptual_judge(str(tmp_path / "none.pth"))
    torch.save({"features.0.weight": torch.zeros(64, 3, 11, 11)}, tmp_path / "part.pth")
    with pytest.raises(InputError, match=r"does not fit LPIPS: missing features\.0\.bias"):
        load_perceptual_judge(str(tmp_path / "part.pth"))
