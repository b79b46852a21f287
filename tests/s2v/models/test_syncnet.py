"""SyncNet: published layout, small sizes, and that sliding over a clip equals window by window."""

import pytest
import torch

from s2v.errors import InputError
from s2v.models.syncnet import SyncNet
from tests.s2v.models.batch_norms import draw_batch_norms

TINY = 1 / 16


def published_layout() -> dict[str, tuple[int, ...]]:
    """Key -> shape of syncnet_v2, written out from its list of layers."""
    shapes: dict[str, tuple[int, ...]] = {}

    def layer(sequence: str, index: int, weight: tuple[int, ...]) -> None:
        shapes[f"{sequence}.{index}.weight"] = weight
        shapes[f"{sequence}.{index}.bias"] = weight[:1]

    def norm(sequence: str, index: int, channels: int) -> None:
        for name in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{sequence}.{index}.{name}"] = (channels,)
        shapes[f"{sequence}.{index}.num_batches_tracked"] = ()

    speech = {0: (64, 1, 3, 3), 4: (192, 64, 3, 3), 8: (384, 192, 3, 3), 11: (256, 384, 3, 3),
              14: (256, 256, 3, 3), 18: (512, 256, 5, 4)}  # fmt: skip
    lips = {0: (96, 3, 5, 7, 7), 4: (256, 96, 1, 5, 5), 8: (256, 256, 1, 3, 3), 11: (256, 256, 1, 3, 3),
            14: (256, 256, 1, 3, 3), 18: (512, 256, 1, 6, 6)}  # fmt: skip
    for sequence, layers in (("netcnnaud", speech), ("netcnnlip", lips)):
        for index, weight in layers.items():
            layer(sequence, index, weight)
            norm(sequence, index + 1, weight[0])
    for sequence in ("netfcaud", "netfclip"):
        layer(sequence, 0, (512, 512))
        norm(sequence, 1, 512)
        layer(sequence, 3, (1024, 512))
    return shapes


def test_published_layout_and_size() -> None:
    with torch.device("meta"):
        syncnet = SyncNet()
    assert {key: tuple(value.shape) for key, value in syncnet.state_dict().items()} == published_layout()
    assert sum(value.numel() for value in syncnet.parameters()) == 13_631_616


@pytest.mark.parametrize(("size", "left"), [(64, 1), (96, 2), (112, 2), (128, 3), (224, 6)])
@torch.no_grad()
def test_last_kernel_covers_what_is_left(size: int, left: int) -> None:
    syncnet = SyncNet(image_size=size, width=TINY).eval()
    assert syncnet.netcnnlip[18].kernel_size == (1, left, left)
    speech, lips = syncnet(torch.randn(2, 1, 13, 20), torch.rand(2, 3, 5, size, size) * 255)
    assert speech.shape == lips.shape == (2, syncnet.embedding_dim) == (2, 64)


@torch.no_grad()
def test_sliding_over_a_clip_equals_window_by_window() -> None:
    torch.manual_seed(0)
    syncnet = SyncNet(image_size=64, width=TINY).eval()
    draw_batch_norms(syncnet)
    lips = torch.rand(9, 3, 64, 64) * 255
    windows = torch.stack([lips[start : start + 5].transpose(0, 1) for start in range(5)])
    slid = syncnet.embed_lip_track(lips)
    whole = syncnet.embed_lips(windows)
    assert (slid - whole).abs().max() < 1e-5 * whole.abs().max()
    mfcc = torch.randn(39, 13) * 10
    windows = torch.stack([mfcc[start : start + 20].T.unsqueeze(0) for start in (0, 4, 8, 12, 16)])
    torch.testing.assert_close(
        syncnet.embed_speech_track(mfcc), syncnet.embed_speech(windows), rtol=1e-5, atol=1e-4
    )


def test_prepare_lips_full_face() -> None:
    frames = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8)
    lips = SyncNet(image_size=64, width=TINY).prepare_lips(frames)
    assert lips.dtype == torch.float32
    # Blue first, values as they are.
    torch.testing.assert_close(lips, frames[:, [2, 1, 0]].float(), rtol=0, atol=0)


def test_prepare_lips_lower_region() -> None:
    frames = torch.zeros(1, 3, 128, 128, dtype=torch.uint8)
    frames[:, 0, 64:, 32:96] = 200  # red exactly where the mouth is
    lips = SyncNet(image_size=64, width=TINY, region="lower").prepare_lips(frames)
    assert lips.shape == (1, 3, 64, 64)
    assert (lips[:, 2] == 200).all()
    assert (lips[:, :2] == 0).all()


def test_prepare_lips_anti_aliases() -> None:
    stripes = torch.zeros(1, 3, 256, 256, dtype=torch.uint8)
    stripes[..., ::4] = 255  # of four columns, bilinear sampling reads the black ones in the middle
    lips = SyncNet(image_size=64, width=TINY).prepare_lips(stripes)
    assert (lips[..., 4:-4] - 255 / 4).abs().max() < 8


def test_wrong_arguments_are_input_errors() -> None:
    with pytest.raises(InputError, match="region"):
        SyncNet(width=TINY, region="upper")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="at least"):
        SyncNet(image_size=48, width=TINY)


@pytest.mark.parametrize("size", [64, 128])
def test_lip_track_equals_the_3d_tower(size: int, threads: int) -> None:
    """With batch norms that do something, window by window and all at once; one thread takes another way than two."""
    torch.manual_seed(1)
    network = SyncNet(image_size=size, width=1 / 16)
    draw_batch_norms(network)
    network.eval()
    lips = torch.rand(9, 3, size, size)
    windows = torch.stack([lips[v : v + 5].transpose(0, 1) for v in range(5)])
    with torch.no_grad():
        track, plain = network.embed_lip_track(lips), network.embed_lips(windows)
    torch.testing.assert_close(track, plain, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(network.embed_lip_track(lips), plain, rtol=1e-4, atol=1e-5)  # with gradients
