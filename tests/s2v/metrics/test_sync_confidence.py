"""SyncNet's score against the public evaluation's procedure, written out window by window."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from s2v.errors import InputError
from s2v.metrics.sync_confidence import (
    scored_windows,
    scores_of_curve,
    shift_distances,
    sync_curve,
    sync_embeddings,
    sync_mode,
    sync_scores,
)
from s2v.models.mouth_syncnet import MouthSyncNet
from s2v.models.syncnet import SyncNet
from tests.s2v.models.batch_norms import draw_batch_norms

python_speech_features = pytest.importorskip("python_speech_features")


@pytest.fixture(scope="module")
def syncnet() -> SyncNet:
    torch.manual_seed(0)
    network = SyncNet(image_size=64, width=1 / 16)
    draw_batch_norms(network)
    with torch.no_grad():
        network.netcnnlip[0].weight.div_(100)
        network.netcnnaud[0].weight.div_(10)
    return network.eval()


def clip(frames: int, extra_samples: int = 0, size: int = 64, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    pictures = torch.randint(0, 256, (frames, 3, size, size), dtype=torch.uint8, generator=generator)
    speech = torch.randn(frames * 640 + extra_samples, generator=generator) * 3000
    return pictures, speech.to(torch.int16)


@torch.no_grad()
def public_evaluation(network: SyncNet, pictures: Tensor, speech: Tensor, vshift: int) -> Any:
    """(offset, distance, confidence, curve), window by window, from 64 x 64 frames."""
    bgr = pictures.float().flip(1)
    mfcc = python_speech_features.mfcc(speech.numpy(), 16_000)
    mfcc = torch.from_numpy(mfcc.T.copy()).float()
    last = min(len(pictures), len(speech) // 640) - 5
    lips, heard = [], []
    for frame in range(last):
        lips.append(network.embed_lips(bgr[frame : frame + 5].transpose(0, 1).unsqueeze(0)))
        heard.append(network.embed_speech(mfcc[None, None, :, 4 * frame : 4 * frame + 20]))
    padded = functional.pad(torch.cat(heard), (0, 0, vshift, vshift))
    distances = []
    for frame in range(last):
        window = padded[frame : frame + 2 * vshift + 1]
        distances.append(functional.pairwise_distance(lips[frame].expand(2 * vshift + 1, -1), window))
    curve = torch.stack(distances, 1).mean(1)
    smallest, index = curve.min(0)
    return vshift - int(index), float(smallest), float(curve.median() - smallest), curve


@pytest.mark.parametrize(
    ("frames", "extra", "vshift"), [(25, 0, 15), (40, -700, 15), (12, 300, 10), (6, 0, 15)]
)
def test_equals_the_public_evaluation(syncnet: SyncNet, frames: int, extra: int, vshift: int) -> None:
    pictures, speech = clip(frames, extra)
    offset, distance, confidence, curve = public_evaluation(syncnet, pictures, speech, vshift)
    torch.testing.assert_close(sync_curve(syncnet, pictures, speech, vshift), curve, rtol=1e-4, atol=1e-4)
    scores = sync_scores(syncnet, pictures, speech, vshift)
    assert scores.offset == offset
    assert scores.distance == pytest.approx(distance, abs=1e-4)
    assert scores.confidence == pytest.approx(confidence, abs=1e-4)


def test_memory_chunks_do_not_change_the_embeddings(syncnet: SyncNet) -> None:
    pictures, speech = clip(20)
    at_once = sync_embeddings(syncnet, pictures, speech, chunk=100)
    in_pieces = sync_embeddings(syncnet, pictures, speech, chunk=4)
    for whole, pieces in zip(at_once, in_pieces, strict=True):
        assert whole.shape == (15, syncnet.embedding_dim)
        torch.testing.assert_close(pieces, whole, rtol=1e-4, atol=1e-4)


def test_threads_do_not_change_the_scores(syncnet: SyncNet) -> None:
    pictures, speech = clip(45)
    before, scores = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            scores.append(sync_scores(syncnet, pictures, speech))
    finally:
        torch.set_num_threads(before)
    for found in scores[1:]:
        assert found == pytest.approx(scores[0], abs=1e-4)


@pytest.mark.parametrize("late", [-3, 0, 4])
@pytest.mark.parametrize("mode", ["stock", "valid_only"])
def test_offset_finds_the_shift(late: int, mode: Any) -> None:
    torch.manual_seed(0)
    track = torch.randn(60, 16)
    # Speech window v + late holds what lip window v shows: the speech comes `late` frames after the lips.
    lips, speech = track[10:50], track[10 - late : 50 - late]
    scores = scores_of_curve(shift_distances(lips, speech, mode=mode))
    assert scores.offset == -late
    assert scores.confidence > 1
    if mode == "valid_only":
        assert scores.distance == pytest.approx(1e-6 * 4, abs=1e-7)  # its eps in 16 dimensions


def test_valid_only_by_hand() -> None:
    lips = torch.tensor([[0.0], [1.0], [5.0]])
    speech = torch.tensor([[2.0], [1.0], [9.0]])
    # -2: |5-2|; -1: |1-2|, |5-1|; 0: 2, 0, 4; 1: |0-1|, |1-9|; 2: |0-9|; beyond: no window at all.
    curve = shift_distances(lips, speech, vshift=3, mode="valid_only")
    expected = torch.tensor([torch.nan, 3, 2.5, 2, 4.5, 9, torch.nan])
    torch.testing.assert_close(curve, expected, equal_nan=True, rtol=0, atol=1e-5)
    scores = scores_of_curve(curve)
    assert scores.offset == 0
    assert scores.distance == pytest.approx(2, abs=1e-5)
    assert scores.confidence == pytest.approx(1, abs=1e-5)
    # Stock pads the speech with zeros: -3 compares 0, 1, 5 with nothing.
    stock = shift_distances(lips, speech, vshift=3, mode="stock")
    assert stock[0] == pytest.approx(2, abs=1e-5)
    assert stock[6] == pytest.approx(2, abs=1e-5)


def test_a_zero_is_nearer_to_embeddings_of_length_1_than_unrelated_speech_by_hand() -> None:
    """Lips, and speech, of which one is at right angles to the other."""
    lips = torch.tensor([[1.0, 0.0]]).expand(4, -1)
    speech = torch.tensor([[0.0, 1.0]]).expand(4, -1)
    # of four windows two are beside a zero at a shift of 2: (2 sqrt(2) + 2 * 1) / 4
    stock = shift_distances(lips, speech, vshift=3, mode="stock")
    beside_zeros = torch.tensor([3, 2, 1, 0, 1, 2, 3]) / 4
    torch.testing.assert_close(stock, 2**0.5 * (1 - beside_zeros) + beside_zeros, rtol=0, atol=1e-5)
    assert abs(scores_of_curve(stock).offset) == 3
    true_pairs = shift_distances(lips, speech, vshift=3, mode="valid_only")
    torch.testing.assert_close(true_pairs, torch.full((7,), 2**0.5), rtol=0, atol=1e-5)
    assert scores_of_curve(true_pairs).confidence == pytest.approx(0, abs=1e-6)


def test_unrelated_embeddings_of_length_1_prefer_no_end() -> None:
    generator = torch.Generator().manual_seed(0)
    away: dict[Any, list[int]] = {"stock": [], "valid_only": []}
    for _ in range(200):
        lips, speech = functional.normalize(torch.randn(2, 60, 64, generator=generator), dim=-1)
        for mode, found in away.items():
            found.append(abs(scores_of_curve(shift_distances(lips, speech, mode=mode)).offset))
    # 6 of 31 shifts are 13 or more frames away, where fewer windows are averaged: a little more than 0.19 of the clips
    shares = {mode: sum(frames >= 13 for frames in found) / 200 for mode, found in away.items()}
    assert shares["stock"] > 0.95
    assert 0.1 < shares["valid_only"] < 0.4
    assert 6 < sum(away["valid_only"]) / 200 < 10.5  # 7.7 where all shifts are alike


@torch.no_grad()
def test_the_network_says_how_it_is_scored(syncnet: SyncNet) -> None:
    assert sync_mode(syncnet) == "stock"
    torch.manual_seed(0)
    mouth = MouthSyncNet().eval()
    assert sync_mode(mouth) == "valid_only"
    pictures, speech = clip(25)
    lips, heard = sync_embeddings(mouth, pictures, speech)
    expected = scores_of_curve(shift_distances(lips, heard, mode="valid_only"))
    assert sync_scores(mouth, pictures, speech) == expected
    stock = scores_of_curve(shift_distances(lips, heard, mode="stock"))
    assert sync_scores(mouth, pictures, speech, mode="stock") == stock != expected


def test_windows_counted_as_the_public_evaluation_does() -> None:
    assert scored_windows(25, 25 * 640) == 20
    assert scored_windows(25, 10 * 640 + 639) == 5
    assert scored_windows(5, 100_000) == 0
    assert scored_windows(2, 0) == 0


def test_unusable_input_is_an_input_error(syncnet: SyncNet) -> None:
    pictures, speech = clip(5)
    with pytest.raises(InputError, match="too short"):
        sync_scores(syncnet, pictures, speech)
    pictures, speech = clip(10)
    with pytest.raises(
        InputError, match=r"uint8 frames from 0 to 255, but got torch.float32: multiply those"
    ):
        sync_scores(syncnet, pictures / 255, speech)
    with pytest.raises(InputError, match=r"int16 speech, .*: multiply by 32768, round and clip"):
        sync_scores(syncnet, pictures, speech.float() / 32768)
    with pytest.raises(InputError, match="expects frames"):
        sync_scores(syncnet, pictures.unsqueeze(0), speech)


def test_training_mode_is_left_as_it_was(syncnet: SyncNet) -> None:
    pictures, speech = clip(8)
    before = sync_scores(syncnet, pictures, speech)
    syncnet.train()
    try:
        assert sync_scores(syncnet, pictures, speech) == before
        assert syncnet.training
    finally:
        syncnet.eval()
