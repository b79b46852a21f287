"""Clips drawn on other clips' contexts: which they are, what is still compared, and what the discriminators see."""

from typing import Any

import pytest
import torch

from s2v.errors import InputError
from s2v.face_regions import MOUTH_LOSS_BOX, cut_box
from s2v.modules.context_exchange import exchanged, with_real_mouths
from tests.s2v.modules.small_faces import SmallFaces, trainer
from tests.s2v.modules.small_modules import composer


def test_a_share_of_the_clips_gets_anothers_contexts() -> None:
    torch.manual_seed(0)
    own = torch.arange(400.0).view(400, 1, 1).expand(-1, 3, 2)
    given, chosen = exchanged(own, 0.3)
    assert chosen is not None and 80 < int(chosen.sum()) < 160  # 120 expected, four deviations of 9
    assert torch.equal(given[~chosen], own[~chosen])
    assert not (given[chosen] == own[chosen]).any()
    steps = (given[chosen] - own[chosen])[:, 0, 0] % 400
    assert len(steps.unique()) == 1  # one draw for all


@pytest.mark.parametrize(("clips", "share"), [(4, 0.0), (1, 0.5)])
def test_without_another_nothing_changes(clips: int, share: float) -> None:
    own = torch.randn(clips, 3, 2)
    given, chosen = exchanged(own, share)
    assert given is own and chosen is None


def test_their_mouths_are_the_real_ones_and_learn_nothing() -> None:
    real, fake = torch.ones(2, 3, 3, 20, 20), torch.zeros(2, 3, 3, 20, 20, requires_grad=True)
    shown = with_real_mouths(fake, real, torch.tensor([True, False]))
    assert cut_box(shown, MOUTH_LOSS_BOX)[0].eq(1).all()
    assert shown[0].sum() == 3 * 3 * 7 * 10  # rows 12 to 19, columns 5 to 15
    assert shown[1].eq(0).all()
    shown.sum().backward()
    assert fake.grad is not None and cut_box(fake.grad, MOUTH_LOSS_BOX)[0].eq(0).all()
    assert fake.grad.sum() == 3 * 3 * (400 - 70) + 3 * 3 * 400


def test_a_step_draws_on_them_and_calls_real_pairs_by_their_own(tmp_path: Any) -> None:
    module = composer(context_exchange=0.999, weights={"identity": 0.0, "mouth": 1.0})
    seen: dict[str, Any] = {}
    for name, place in (("score_real", 2), ("score_fake", 2), ("generator_losses", 3)):
        method = getattr(module, name)

        def listen(*args: Any, name: str = name, place: int = place, method: Any = method) -> Any:
            seen[name] = args[place].clone()
            result = method(*args)
            if name == "generator_losses":
                seen.update({key: term.item() for key, term in result.items()})
            return result

        setattr(module, name, listen)
    module.generator.register_forward_pre_hook(lambda _, given: seen.update(drawn_on=given[0].clone()))
    torch.manual_seed(0)
    trainer(tmp_path, max_steps=1, max_epochs=-1).fit(module, datamodule=SmallFaces())
    assert torch.equal(seen["score_fake"], seen["drawn_on"])
    assert torch.equal(seen["generator_losses"], seen["score_real"])
    assert not torch.isclose(seen["score_fake"], seen["score_real"]).all(dim=(1, 2)).any()
    assert sorted(seen["score_fake"].sum((1, 2)).tolist()) == pytest.approx(
        sorted(seen["score_real"].sum((1, 2)).tolist())
    )
    assert seen["mouth"] == 0 and seen["similarity"] > 0


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_is_below_1(share: float) -> None:
    with pytest.raises(InputError, match="context_exchange must be at least 0 and below 1"):
        composer(context_exchange=share)
