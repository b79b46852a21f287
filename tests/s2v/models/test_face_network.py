import pytest
import torch

from s2v.errors import InputError
from s2v.models.face_network import FaceNetwork, resize_faces
from s2v.models.mini_xception import MiniXception
from s2v.models.mobilefacenet import MobileFaceNet
from s2v.models.senet import SENet50
from s2v.models.vggface import VGGFace


def vggface() -> VGGFace:
    torch.manual_seed(0)
    return VGGFace(image_size=32, width=0.05, num_classes=5).eval()


def senet() -> SENet50:
    torch.manual_seed(0)
    return SENet50(image_size=32, width=0.05, blocks=(1, 1, 1, 1), num_classes=8).eval()


def faces(size: int = 32, count: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)


def test_faces_of_the_right_size_keep_their_values() -> None:
    resized = resize_faces(faces(), 32)
    assert resized.dtype == torch.float32
    assert torch.equal(resized, faces().float())


def test_shrinking_is_antialiased() -> None:
    """Every fourth column white becomes grey; plain bilinear sampling reads the two black ones in the middle."""
    stripes = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    stripes[..., ::4] = 255
    resized = resize_faces(stripes, 16)
    assert resized.shape == (1, 3, 16, 16)
    assert (resized[..., 1:-1] - 255 / 4).abs().max() < 3


def test_a_plain_colour_stays_at_any_size() -> None:
    colour = torch.tensor([10.0, 100.0, 250.0]).view(1, 3, 1, 1)
    for size in (8, 32, 50):
        resized = resize_faces(colour.expand(1, 3, 20, 30), size)
        torch.testing.assert_close(resized, colour.expand(1, 3, size, size), atol=1e-3, rtol=0)


def test_embedding_and_logits_are_each_networks_own() -> None:
    vgg, se = vggface(), senet()
    by_name = {"fc7": vgg(faces().float())["fc7"], "fc8": vgg(faces().float())["fc8"]}
    outputs = FaceNetwork(vgg)(faces())
    assert outputs.keys() == {"embedding", "logits"}
    assert torch.equal(outputs["embedding"], by_name["fc7"]) and torch.equal(
        outputs["logits"], by_name["fc8"]
    )
    outputs = FaceNetwork(se)(faces())
    for name in ("embedding", "logits"):
        assert torch.equal(outputs[name], se(faces().float())[name])


def test_many_faces_are_looked_at_a_few_at_a_time_where_nothing_is_learnt() -> None:
    seen: list[int] = []
    wrapped, many = FaceNetwork(senet()).eval(), faces(count=9)
    wrapped.network.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    together = wrapped(many)
    with torch.no_grad():
        apart = wrapped(many)
        wrapped.train()(many)  # batch norms need all of them
    assert seen == [9, 4, 4, 1, 9]
    for name in ("embedding", "logits"):
        torch.testing.assert_close(apart[name], together[name], rtol=1e-4, atol=1e-4)


def test_a_network_without_classes_has_no_logits() -> None:
    assert FaceNetwork(MobileFaceNet().eval())(faces(64)).keys() == {"embedding"}
    assert FaceNetwork(MiniXception().eval())(faces(64)).keys() == {"embedding", "logits"}


@pytest.mark.parametrize("network", [vggface(), senet()], ids=["vggface", "senet"])
def test_takes_uint8_and_float_of_any_size(network: torch.nn.Module) -> None:
    wrapped = FaceNetwork(network)
    large = faces(80)
    as_bytes, as_floats = wrapped(large), wrapped(large.float())
    small = wrapped(resize_faces(large, 32))
    for name in ("embedding", "logits"):
        assert torch.equal(as_bytes[name], as_floats[name])
        torch.testing.assert_close(as_bytes[name], small[name])


def test_feature_maps_are_smallest_first_and_at_the_faces_own_size() -> None:
    wrapped = FaceNetwork(vggface())
    maps = wrapped.feature_maps(faces(64))
    assert [m.shape for m in maps] == [(2, 26, 4, 4), (2, 26, 8, 8), (2, 13, 16, 16)]
    own = vggface()(faces().float())
    for found, name in zip(wrapped.feature_maps(faces()), ("conv5_3", "conv4_3", "conv3_3"), strict=True):
        assert torch.equal(found, own[name])


def test_other_networks_have_no_feature_maps() -> None:
    with pytest.raises(InputError, match="SENet50 has none: give a VGGFace network as feature_network"):
        FaceNetwork(senet()).feature_maps(faces())


@pytest.mark.parametrize("network", [vggface(), senet(), MiniXception(num_classes=6)])
def test_networks_tell_their_number_of_classes(network: torch.nn.Module) -> None:
    assert FaceNetwork(network.eval())(faces(64))["logits"].shape[1] == network.num_classes
