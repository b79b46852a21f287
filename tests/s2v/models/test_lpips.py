"""LPIPS against torchmetrics' own copy of the published code, with random AlexNet weights."""

from pathlib import Path

import pytest
import torch
from torchmetrics.functional.image import lpips as published

from s2v.errors import InputError
from s2v.evaluation.held_pictures import HeldPictures
from s2v.evaluation.judges import load_perceptual_judge
from s2v.evaluation.protocol import Protocol
from s2v.weights import load_lpips
from tests.s2v.evaluation.judge_checkpoints import save_alexnet
from tests.s2v.evaluation.talking_squares import square_clip


@pytest.fixture(scope="module")
def alexnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return Path(save_alexnet(tmp_path_factory.mktemp("lpips") / "alexnet.pth"))


def published_lpips(alexnet: Path) -> published._LPIPS:
    network = published._LPIPS(pretrained=True, net="alex", pnet_rand=True)
    features = torch.load(alexnet, weights_only=True)
    for part in (
        network.net.slice1,
        network.net.slice2,
        network.net.slice3,
        network.net.slice4,
        network.net.slice5,
    ):
        for name, layer in part.named_children():
            if isinstance(layer, torch.nn.Conv2d):
                layer.load_state_dict({k: features[f"features.{name}.{k}"] for k in ("weight", "bias")})
    return network


def test_equals_the_published_code(alexnet: Path) -> None:
    theirs, ours = published_lpips(alexnet), load_lpips(alexnet)
    pictures, others = torch.randint(0, 256, (2, 3, 3, 70, 64), dtype=torch.uint8)
    with torch.no_grad():
        expected = theirs(pictures / 255, others / 255, normalize=True).flatten()
        found = ours(pictures, others)
    assert expected.min() > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)


def test_a_clips_systems_are_those_of_the_published_code_one_by_one(alexnet: Path) -> None:
    """Seven frames are not a whole number of parts; held pictures stand beside all frames, or all but the first."""
    theirs, judge = published_lpips(alexnet), load_perceptual_judge(str(alexnet))
    real, made = torch.randint(0, 256, (2, 7, 3, 48, 40), dtype=torch.uint8)
    systems, first = [made, made[:1], real[:1]], [0, 0, 1]
    with torch.no_grad():
        apart = [
            theirs(frames.expand_as(real) / 255, real / 255, normalize=True).flatten()[start:].mean()
            for frames, start in zip(systems, first, strict=True)
        ]
    found = judge.distances(systems, real, first)
    assert min(found) > 1e-3
    torch.testing.assert_close(torch.tensor(found), torch.stack(apart), rtol=1e-5, atol=1e-7)


def test_the_network_sees_each_picture_once(alexnet: Path) -> None:
    judge, clip = load_perceptual_judge(str(alexnet)), square_clip("ann", "anger", seed=0, frames=10)
    clip.generated = clip.exported = clip.real.flip(0)
    other = square_clip("ben", "anger", seed=1, frames=10)
    held = HeldPictures()
    for seen in (clip, square_clip("ann", "happiness", seed=2, frames=10), other):
        held.add(seen.clip_id, seen.speaker, seen.real)
    protocol, seen_by_alexnet = Protocol(perceptual=judge), []
    protocol.hold(held)
    judge.network.features[0].register_forward_hook(
        lambda layer, given, result: seen_by_alexnet.append(len(result))
    )
    rows = protocol.add(clip)
    assert all("lpips" in row.values for row in rows.values()) and len(rows) == 8
    assert sum(seen_by_alexnet) == 2 * 10 + 4  # real and generated frames; four pictures held still


def test_small_frames_cost_all_rows_lpips_alone(alexnet: Path) -> None:
    clip = square_clip("ann", "anger", seed=0)
    clip.real = clip.real[..., 2:]
    clip.generated = clip.real
    for row in Protocol(perceptual=load_perceptual_judge(str(alexnet))).add(clip).values():
        assert row.reasons == ["LPIPS compares pictures of at least 31 pixels a side, but got 30 x 32"]
        assert "lpips" not in row.values and "ssim" in row.values


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
