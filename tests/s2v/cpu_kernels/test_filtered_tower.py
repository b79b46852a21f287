"""SyncNet's towers by minimal filtering: the modules' numbers, for the weights as they are now."""

import pytest
import torch
from lightning.pytorch.plugins.layer_sync import TorchSyncBatchNorm
from torch import nn

from s2v.cpu_kernels import filtered_tower
from s2v.cpu_kernels.filtered_tower import can_be_filtered, lip_features, speech_features
from s2v.models.syncnet import SyncNet
from tests.s2v.models.batch_norms import draw_batch_norms


def syncnet(size: int, width: float) -> SyncNet:
    """In evaluation mode, with batch norms that do something."""
    torch.manual_seed(0)
    network = SyncNet(size, width)
    draw_batch_norms(network, scales=(-0.5, 1.5))  # a negative scale turns the largest into the smallest
    return network.eval()


def assert_close(found: torch.Tensor, exact: torch.Tensor, of_largest: float = 2e-5) -> None:
    assert found.shape == exact.shape
    assert (found - exact).abs().max() < of_largest * exact.abs().max()


def lips_by_modules(network: SyncNet, lips: torch.Tensor) -> torch.Tensor:
    windows = torch.stack([lips[v : v + 5].transpose(0, 1) for v in range(len(lips) - 4)])
    return network.double().netcnnlip(windows.double()).flatten(1)


@pytest.mark.parametrize(
    ("size", "frames"), [(64, 5), (64, 8), (64, 11), (64, 12), (96, 21), (130, 9), (224, 6)]
)
@torch.no_grad()
def test_lips_equal_the_modules(size: int, frames: int) -> None:
    network = syncnet(size, 1 / 16)
    lips = torch.randint(0, 256, (frames, 3, size, size)).float()
    found = lip_features(network.netcnnlip, lips)
    assert_close(found, lips_by_modules(network, lips))


@torch.no_grad()
def test_after_a_fit_with_synchronised_batch_norm() -> None:
    plugin, lips = TorchSyncBatchNorm(), torch.randint(0, 256, (6, 3, 64, 64)).float()
    expected = lip_features(syncnet(64, 1 / 16).netcnnlip, lips)
    again = plugin.revert(plugin.apply(syncnet(64, 1 / 16))).eval()
    assert not any(isinstance(part, nn.BatchNorm3d) for part in again.modules())
    assert_close(lip_features(again.netcnnlip, lips), expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("windows", [1, 40])
@torch.no_grad()
def test_speech_equals_the_modules(windows: int) -> None:
    network = syncnet(64, 1 / 8)
    mfcc = torch.randn(windows, 1, 13, 20) * 10
    found = speech_features(network.netcnnaud, mfcc)
    assert_close(found, network.double().netcnnaud(mfcc.double()).flatten(1))


@torch.no_grad()
def test_changed_weights_are_noticed_and_same_ones_are_kept() -> None:
    network = syncnet(64, 1 / 16)
    lips = torch.randint(0, 256, (6, 3, 64, 64)).float()
    before = lip_features(network.netcnnlip, lips)
    kept = filtered_tower._towers[network.netcnnlip][1]
    assert torch.equal(lip_features(network.netcnnlip, lips), before)
    assert filtered_tower._towers[network.netcnnlip][1] is kept
    network.load_state_dict({key: value * 1.1 for key, value in network.state_dict().items()})
    after = lip_features(network.netcnnlip, lips)
    assert_close(after, lips_by_modules(network, lips))
    assert not torch.allclose(before, after)


def test_inference_mode_and_then_none() -> None:
    network = syncnet(64, 1 / 16)
    lips = torch.randint(0, 256, (6, 3, 64, 64)).float()
    with torch.inference_mode():
        inside = network.embed_lip_track(lips)
    with torch.no_grad():
        assert torch.equal(network.embed_lip_track(lips), inside)


def test_only_where_it_gives_the_same_and_is_faster(threads: int) -> None:
    network = syncnet(64, 1 / 16)
    tower, lips = network.netcnnlip, torch.zeros(5, 3, 64, 64)
    assert not can_be_filtered(tower, lips)  # gradients are recorded
    with torch.no_grad():
        assert can_be_filtered(tower, lips) == (threads == 1)
        assert not can_be_filtered(tower, lips.double())
        with torch.autocast("cpu", torch.bfloat16):
            assert not can_be_filtered(tower, lips)
        assert not can_be_filtered(tower.train(), lips)


@pytest.mark.parametrize("side", [64, 80])
@torch.no_grad()
def test_frames_as_shown_equal_prepared_lips(side: int, threads: int) -> None:
    network, frames = syncnet(64, 1 / 16), torch.randint(0, 256, (8, 3, side, side), dtype=torch.uint8)
    exact = network.embed_lip_track(network.prepare_lips(frames))
    assert torch.equal(network.embed_frames(frames), exact)
    assert torch.equal(network.embed_frames(frames.float()), exact)


class Leaky(SyncNet):
    """Other layers, of which the faster way knows nothing."""

    def __init__(self, image_size: int, width: float) -> None:
        super().__init__(image_size, width)
        for tower in (self.netcnnlip, self.netcnnaud):
            for index, layer in enumerate(tower):
                if isinstance(layer, nn.ReLU):
                    tower[index] = nn.LeakyReLU(0.2)


@torch.no_grad()
def test_a_subclass_is_asked_itself() -> None:
    network = Leaky(64, 1 / 8).eval()
    lips = torch.randint(0, 256, (6, 3, 64, 64), dtype=torch.uint8)
    windows = torch.stack([lips[v : v + 5].transpose(0, 1) for v in range(2)]).float()
    by_modules = network.netfclip(network.netcnnlip(windows).flatten(1))
    assert_close(network.embed_lip_track(lips.float()), by_modules)
    mfcc = torch.randn(1, 24, 13) * 10
    steps = torch.stack([mfcc[0, v : v + 20].T for v in (0, 4)])[:, None]
    assert_close(network.embed_speech_tracks(mfcc)[0], network.netfcaud(network.netcnnaud(steps).flatten(1)))
