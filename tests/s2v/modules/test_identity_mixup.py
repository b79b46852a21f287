"""Stage 2 on nus part of the way to another speaker's, and on nus and mus of changed speech."""

from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from torch import Tensor

from data_modules.speech_augmentation import SpeechAugmentation
from s2v.errors import InputError
from s2v.models.cpc import CPC
from s2v.models.speaker_encoder import SpeakerEncoder
from s2v.models.speech_representation import SpeechRepresentation
from s2v.models.students import StudentHead
from s2v.modules.identity_mixup import mixup
from tests.s2v.modules.composer_fits import Outputs, Seed, fit
from tests.s2v.modules.small_faces import batch_of, draw_clip
from tests.s2v.modules.small_modules import composer


def test_mixing_moves_each_nu_part_of_the_way_to_another() -> None:
    torch.manual_seed(0)
    nus = torch.eye(5)
    shares = []
    for _ in range(200):
        moved = mixup(nus, 0.3)
        torch.testing.assert_close(moved.sum(1), torch.ones(5))  # on the line between two of the unit vectors
        assert bool((moved.count_nonzero(1) == 2).all())
        shares += [1 - float(moved[row, row]) for row in range(5)]
    assert 0 <= min(shares) < 0.01 and 0.29 < max(shares) < 0.3001
    assert torch.equal(mixup(nus, 0.0), nus)
    assert torch.equal(mixup(nus[:1], 0.3), nus[:1])  # there is no other


def test_only_training_mixes(tmp_path: Path, face_file: str) -> None:
    """The first step's nus, and so its frames, are others than without mixing; generation's are not."""
    outputs = {share: Outputs() for share in (0.0, 0.4)}
    modules = {share: composer(feature_network=face_file, identity_mixing=share) for share in outputs}
    batch = batch_of([draw_clip(index) for index in range(4)])
    made = [module.eval()(batch["speech"], batch["frame_times"]) for module in modules.values()]
    assert torch.equal(*made)
    given: list[tuple[Tensor, ...]] = []
    for share, module in modules.items():
        module.sizes_fit = True  # or the pass that tries them out is given too
        module.generator.register_forward_pre_hook(lambda _, drawn_from: given.append(drawn_from))
        fit(tmp_path, module.train(), Seed(), outputs[share])
    (contexts, nu, mu, _), (same_contexts, mixed_nu, same_mu, _) = given
    assert torch.equal(contexts, same_contexts) and torch.equal(mu, same_mu)
    assert not torch.allclose(nu, mixed_nu)
    without, with_mixing = (found.seen[0]["fake_frames"] for found in outputs.values())
    assert not torch.allclose(without, with_mixing)


LOUD = SpeechAugmentation(gain_db=6, equaliser_db=3, noise_snr_db=10)


@pytest.mark.parametrize("encoder", [None, SpeakerEncoder(hidden=16, out_dim=64, layers=1)])
def test_nu_and_mu_are_read_from_the_changed_speech(encoder: SpeakerEncoder | None) -> None:
    torch.manual_seed(0)
    networks = SpeechRepresentation(
        CPC(channels=8, hidden=64), StudentHead(64, 16, 32), StudentHead(64, 16, 4), encoder
    ).eval()
    speech, other = 0.1 * torch.randn(2, 2, 25_600)
    times = torch.tensor([[0.1, 0.5, 1.2]] * 2)
    with torch.no_grad():
        own, borrowed, others = (
            networks(speech, times),
            networks(speech, times, other),
            networks(other, times),
        )
    torch.testing.assert_close(borrowed, (own[0], *others[1:]))
    assert not any(torch.allclose(a, b) for a, b in zip(own, others, strict=True))


def test_only_training_changes_the_voice(tmp_path: Path, face_file: str) -> None:
    outputs = {name: Outputs() for name in ("as it is", "changed")}
    modules = {
        "as it is": composer(feature_network=face_file),
        "changed": composer(feature_network=face_file, voice_augmentation=LOUD),
    }
    batch = batch_of([draw_clip(index) for index in range(4)])
    made = [module.eval()(batch["speech"], batch["frame_times"]) for module in modules.values()]
    assert torch.equal(*made)
    for name, module in modules.items():
        fit(tmp_path, module.train(), Seed(), outputs[name])
    without, with_changes = (found.seen[0]["fake_frames"] for found in outputs.values())
    assert not torch.allclose(without, with_changes)
    assert modules["changed"].hparams["voice_augmentation"] == asdict(LOUD)  # as a checkpoint keeps it


@pytest.mark.parametrize("share", [-0.1, 0.5, 1.0])
def test_mixing_must_leave_more_of_the_own_nu(share: float) -> None:
    with pytest.raises(InputError, match=rf"identity_mixing must be at least 0 and below 0.5.*got {share}"):
        composer(identity_mixing=share)
