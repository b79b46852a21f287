"""SyncNet's scores over clips: the means of `sync_scores`."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torchmetrics import Metric

from s2v.metrics import mean_sync_confidence, sync_confidence
from s2v.metrics.mean_sync_confidence import SyncConfidence
from s2v.metrics.sync_confidence import SyncScores, sync_scores
from s2v.models.mouth_syncnet import MouthSyncNet
from s2v.models.syncnet import SyncNet


@pytest.fixture(scope="module")
def syncnet() -> SyncNet:
    torch.manual_seed(0)
    return SyncNet(image_size=64, width=1 / 16).eval()


def clip(frames: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    pictures = torch.randint(0, 256, (frames, 3, 64, 64), dtype=torch.uint8, generator=generator)
    speech = torch.randn(frames * 640, generator=generator) * 3000
    return pictures, speech.to(torch.int16)


def test_metric_averages_clips_and_counts_what_is_too_short(syncnet: SyncNet) -> None:
    metric = SyncConfidence(syncnet)
    scores = []
    for seed, frames in enumerate((12, 20, 16)):
        pictures, speech = clip(frames, seed=seed)
        metric.update(pictures, speech)
        scores.append(sync_scores(syncnet, pictures, speech))
    metric.update(*clip(4))
    result = metric.compute()
    assert result["sync_offset_abs"].item() == pytest.approx(np.mean([abs(s.offset) for s in scores]))
    assert result["sync_distance"].item() == pytest.approx(np.mean([s.distance for s in scores]))
    assert result["sync_confidence"].item() == pytest.approx(np.mean([s.confidence for s in scores]))
    assert (result["scored"].item(), result["total"].item()) == (3, 4)
    metric.reset()
    metric.update(*clip(4))
    assert metric.compute()["sync_confidence"].isnan()


def test_early_and_late_do_not_cancel_out(syncnet: SyncNet, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([SyncScores(-3, 9.0, 1.0), SyncScores(5, 7.0, 2.0)])
    monkeypatch.setattr(mean_sync_confidence, "sync_scores", lambda *_: next(scores))
    metric = SyncConfidence(syncnet)
    for _ in range(2):
        metric.update(*clip(8))
    result = {name: value.item() for name, value in metric.compute().items()}
    means = {"sync_offset_abs": 4.0, "sync_distance": 8.0, "sync_confidence": 1.5}
    assert result == means | {"scored": 2, "total": 2}


def test_embeddings_of_length_1_are_not_compared_with_zeros() -> None:
    torch.manual_seed(0)
    mouth = MouthSyncNet().eval()
    metrics = {mode: SyncConfidence(mouth, mode=mode) for mode in (None, "valid_only", "stock")}
    for metric in metrics.values():
        metric.update(*clip(40))
    own, pairs, stock = (metric.compute()["sync_distance"].item() for metric in metrics.values())
    assert own == pairs != stock


def test_metric_takes_batches(syncnet: SyncNet) -> None:
    clips = [clip(9, seed=seed) for seed in range(2)]
    one_by_one, batched = SyncConfidence(syncnet), SyncConfidence(syncnet)
    for pictures, speech in clips:
        one_by_one.update(pictures, speech)
    batched.update(torch.stack([c[0] for c in clips]), torch.stack([c[1] for c in clips]))
    assert batched.compute()["sync_distance"].item() == one_by_one.compute()["sync_distance"].item()
    assert batched.total.item() == 2


def test_metric_keeps_the_judge_out_of_checkpoints(syncnet: SyncNet) -> None:
    metric = SyncConfidence(syncnet)
    assert not list(metric.parameters())
    assert not metric.state_dict()


def test_it_has_its_name_beside_the_scores_of_one_clip() -> None:
    assert sync_confidence.SyncConfidence is SyncConfidence
    assert issubclass(SyncConfidence, Metric)
    assert not hasattr(sync_confidence, "SyncConfidense")
