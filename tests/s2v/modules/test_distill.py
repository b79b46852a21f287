import shutil
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from torch import Tensor

from s2v.errors import InputError
from s2v.modules.distill import DistillModule
from tests.s2v.modules.small_faces import Losses, SmallFaces, batch_of, draw_clip, trainer
from tests.s2v.modules.small_modules import (
    EMOTION,
    IDENTITY,
    REPRESENTATION,
    assert_same,
    configured,
    distill,
)


@pytest.fixture
def module(teachers: dict[str, Any], tmp_path: Path) -> DistillModule:
    """With its teachers, ready for a step."""
    made = distill(**teachers)
    trainer(tmp_path).strategy.connect(made)
    made.trainer = trainer(tmp_path)
    made.setup("fit")
    return made


def batch(clips: int = 3, pictures: int | None = 4) -> Any:
    return batch_of([draw_clip(index) for index in range(clips)], pictures)


def copied(network: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def test_speech_learns_what_the_teachers_see(teachers: dict[str, Any], tmp_path: Path) -> None:
    made, losses = distill(lr=3e-3, **teachers), Losses("train/loss")
    data = SmallFaces(pictures=4)
    trainer(tmp_path, losses, max_steps=60, max_epochs=-1).fit(made, datamodule=data)
    whole = batch(clips=6)
    nu, mu = made.teacher_features(whole)
    # the teachers' own entropies: what is left of a cross-entropy when the student is the teacher
    least = sum(-(t.softmax(-1) * t.log_softmax(-1)).sum(-1).mean() for t in (nu, mu))
    assert losses.values[-1] - least < 0.15 * (losses.values[0] - least)
    (logged,) = trainer(tmp_path, limit_val_batches=None).validate(made, datamodule=data, verbose=False)
    assert logged["val/identity_retrieval"] == 1 and logged["val/emotion_agreement"] == 1


def test_teachers_of_ones_own_and_one_without_the_wanted_output() -> None:
    own = "class:tests.s2v.modules.own_faces"
    faces = batch()
    made = distill(identity_teacher=f"{own}.Colours", emotion_teacher=f"{own}.LogitsAlone", frames_per_clip=4)
    made.setup("fit")
    nu, mu = made.teacher_features(faces)
    assert nu.shape == (3, 3) and mu.shape == (3, 2)
    torch.testing.assert_close(nu, faces["still"].float().mean(dim=(2, 3)), atol=2, rtol=0)  # resized
    assert not any(parameter.requires_grad for parameter in made.teachers.parameters())
    made = distill(identity_teacher=f"{own}.LogitsAlone", emotion_teacher=f"{own}.Colours")
    made.setup("fit")
    with pytest.raises(InputError, match="the identity teacher gives no embedding, only logits"):
        made.teacher_features(faces)


def test_retrieval_is_among_all_speakers_and_not_a_batchs(module: DistillModule) -> None:
    logged: dict[str, Tensor] = {}
    cosines: list[Tensor] = []

    def keep(name: str, value: Tensor, **_: Any) -> None:
        logged[name] = value
        cosines.extend([value] * (name == "test/identity_cosine"))

    module.log = keep  # type: ignore[method-assign, assignment]
    faces = torch.eye(4)[[0, 0, 1, 1, 2, 3]]
    speakers = torch.tensor([0, 0, 1, 1, 2, 3])
    voices = torch.eye(4)[[0, 1, 1, 1, 2, 2]]  # two of six sound like somebody else
    logits = torch.zeros(6, EMOTION)
    for one in range(6):  # as a test serves them: a clip at a time
        part = slice(one, one + 1)
        alone: Any = {"speaker": speakers[part]}
        module._log_agreement(voices[part], logits[part], faces[part], logits[part], alone, "test")
    module.on_test_epoch_end()
    assert torch.stack(cosines).tolist() == pytest.approx([1, 0, 1, 1, 1, 0])
    assert logged["test/identity_retrieval"].item() == pytest.approx(4 / 6)
    assert logged["test/identity_retrieval_by_speaker"].item() == pytest.approx((0.5 + 1 + 1 + 0) / 4)


def test_a_test_hears_in_windows_as_export_does(
    module: DistillModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clips of 0.64 s, windows of 0.24 s: two of them, and the last 0.24 s."""
    module.trainer.datamodule = SimpleNamespace(window_frames=6)  # type: ignore[attr-defined]
    logged: dict[str, Any] = {}
    module.log = lambda name, value, **_: logged.update({name: value})  # type: ignore[method-assign, assignment]
    module.log_dict = lambda values, **_: logged.update(values)  # type: ignore[method-assign, assignment]
    clips = batch(clips=2)
    assert clips["speech"].shape == (2, 10_240)
    with torch.no_grad():
        windows = [clips["speech"][:, start : start + 3_840] for start in (0, 3_840, 6_400)]
        heard = [
            module.representation.students(module.representation.contexts(window)[:, -1], None)
            for window in windows
        ]
        # 16 frames, from 0.02 s to 0.62 s; the windows' centres
        knots, frames = [0.12, 0.36, 0.52], [0.02 + 0.04 * frame for frame in range(16)]
        shares = torch.tensor([np.interp(frames, knots, row).mean() for row in np.eye(3)]).float()
        nu = torch.stack([nu for nu, _ in heard]).mean(dim=0)
        mu = torch.einsum("w,wbe->be", shares, torch.stack([mu for _, mu in heard]))
        found = module.heard_in_windows(clips["speech"])
        torch.testing.assert_close(found, (nu, mu))
        faster = SimpleNamespace(window_frames=12, clips=lambda part: [SimpleNamespace(fps=50)])
        with monkeypatch.context() as patch:
            patch.setattr(module.trainer, "datamodule", faster)  # the same windows, of more frames
            torch.testing.assert_close(module.heard_in_windows(clips["speech"])[0], nu)
        module.eval()
        with monkeypatch.context() as patch:  # what windows are heard of, the whole clip is not heard again
            patch.setattr(module.representation.cpc, "forward", None)
            module.test_step(clips, 0)
        expected = module.losses(nu, mu, *module.teacher_features(clips))
    for name, value in expected.items():
        torch.testing.assert_close(logged[f"test/loss/{name}"], value)
    assert not torch.allclose(heard[0][0], heard[1][0], atol=1e-3)


def test_mu_is_the_mean_over_all_frames_when_k_is_their_number(module: DistillModule) -> None:
    whole = batch(pictures=4)
    for module.frames_per_clip in (4, 9):
        nu, mu = module.teacher_features(whole)
        frames = [module.teachers["emotion"](clip)["logits"] for clip in whole["frames"]]
        torch.testing.assert_close(mu, torch.stack([logits.mean(dim=0) for logits in frames]))
        torch.testing.assert_close(nu, module.teachers["identity"](whole["still"])["embedding"])
    assert nu.shape == (3, IDENTITY) and mu.shape == (3, EMOTION)


def test_mu_is_the_mean_over_k_different_frames_redrawn_each_step(module: DistillModule) -> None:
    """Eq. 1: every result is the mean over one of the 6 pairs of 4 frames; each clip draws its own."""
    torch.manual_seed(0)
    whole = batch(clips=2, pictures=4)
    module.frames_per_clip = 2
    logits = torch.stack([module.teachers["emotion"](clip)["logits"] for clip in whole["frames"]])
    pairs = list(combinations(range(4), 2))
    means = torch.stack([logits[:, pair].mean(dim=1) for pair in pairs], dim=1)  # (clips, pairs, classes)
    drawn = []
    for _ in range(40):
        _, mu = module.teacher_features(whole)
        away = (means - mu.unsqueeze(1)).abs().amax(dim=-1)
        assert (away.amin(dim=1) < 1e-4).all()
        drawn.append(tuple(away.argmin(dim=1).tolist()))
    first, second = zip(*drawn, strict=True)
    assert set(first) == set(second) == set(range(6))
    assert first != second


def test_outside_training_the_same_evenly_spaced_frames_are_taken(module: DistillModule) -> None:
    whole, module.frames_per_clip = batch(clips=2, pictures=5), 2
    module.eval()
    logits = torch.stack([module.teachers["emotion"](clip)["logits"] for clip in whole["frames"]])
    for _ in range(5):
        torch.testing.assert_close(module.teacher_features(whole)[1], logits[:, [0, 2]].mean(dim=1))


def test_mu_may_be_the_emotion_teachers_embedding(module: DistillModule) -> None:
    whole = batch(pictures=1)
    module.emotion_feature = "embedding"
    _, mu = module.teacher_features(whole)
    torch.testing.assert_close(mu, module.teachers["emotion"](whole["frames"][:, 0])["embedding"])


@pytest.mark.parametrize(("target", "temperature"), [("teacher", 1.0), ("student", 2.0)])
def test_the_total_is_equation_2(module: DistillModule, target: Any, temperature: float) -> None:
    module.target, module.temperature, module.normalised_weight = target, temperature, 0.3
    module.frames_per_clip = 4
    whole = batch(pictures=4)
    logged: dict[str, Tensor] = {}
    module.log = lambda name, value, **_: logged.update({name: value})  # type: ignore[method-assign, assignment]
    module.log_dict = lambda values, **_: logged.update(values)  # type: ignore[method-assign, assignment]
    loss = module.training_step(whole, 0).item()

    def by_hand(student: np.ndarray, teacher: np.ndarray) -> tuple[float, float]:
        unit = [x / np.sqrt((x**2).sum(axis=1, keepdims=True)) for x in (student, teacher)]
        distance = ((unit[0] - unit[1]) ** 2).sum(axis=1).mean()
        softened = [x / temperature for x in (student, teacher)]
        log_p = [x - np.log(np.exp(x).sum(axis=1, keepdims=True)) for x in softened]
        weights, logs = (log_p[1], log_p[0]) if target == "teacher" else (log_p[0], log_p[1])
        return distance, -(np.exp(weights) * logs).sum(axis=1).mean()

    with torch.no_grad():
        omega = module.representation.contexts(whole["speech"])[:, -1]
        students = [x.double().numpy() for x in module.representation.students(omega, None)]
        targets = [x.double().numpy() for x in module.teacher_features(whole)]
    parts = [by_hand(*pair) for pair in zip(students, targets, strict=True)]
    assert loss == pytest.approx(sum(0.3 * distance + entropy for distance, entropy in parts), rel=1e-4)
    assert sum(logged[f"train/loss/{name}"].item() for name in (
        "emotion_normalised", "emotion_distill", "identity_normalised", "identity_distill",
    )) == pytest.approx(loss, rel=1e-5)  # fmt: skip
    assert logged["train/loss/identity_normalised"].item() == pytest.approx(0.3 * parts[0][0], rel=1e-4)


def test_read_outs_at_other_instants_count_as_the_last_one(module: DistillModule) -> None:
    module.readouts, module.frames_per_clip = 3, 4
    whole = batch(pictures=4)
    contexts = module.representation.contexts(whole["speech"])
    steps = contexts.shape[1]
    drawn: list[Tensor] = []
    draw = module.other_instants

    def remember(given: Tensor) -> list[Tensor]:
        drawn.extend(draw(given))
        return drawn

    module.other_instants = remember  # type: ignore[method-assign]
    module.log = module.log_dict = lambda *_, **__: None  # type: ignore[method-assign, assignment]
    loss = module.training_step(whole, 0)
    assert len(drawn) == 2
    for omega in drawn:  # each clip's is one of its contexts, from the window's second half
        nearest = torch.cdist(omega.unsqueeze(1), contexts)[:, 0].argmin(dim=1)
        assert (nearest >= steps // 2).all()
    targets = module.teacher_features(whole)
    by_hand = [
        sum(module.losses(*module.representation.students(omega, None), *targets).values())
        for omega in (contexts[:, -1], *drawn)
    ]
    torch.testing.assert_close(loss, torch.stack(by_hand).mean())  # type: ignore[arg-type]
    module.readouts = 1
    torch.testing.assert_close(module.training_step(whole, 0), by_hand[0])


def test_teachers_learn_nothing_and_never_train(teachers: dict[str, Any], tmp_path: Path) -> None:
    made = distill(**teachers)
    modes = []

    class Watch(pl.Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
            modes.append([m.training for m in pl_module.teachers.modules()])

    fit = trainer(tmp_path, Watch(), max_steps=3, max_epochs=-1)
    fit.fit(made, datamodule=SmallFaces(pictures=4))
    assert len(modes) == 3 and not any(mode for step in modes for mode in step)
    for kind, path in teachers.items():
        network = made.teachers[kind.removesuffix("_teacher")]
        assert all(p.grad is None and not p.requires_grad for p in network.parameters())
        saved = torch.load(path, weights_only=True)["state_dict"]
        assert_same(network.state_dict(), saved)  # batch norm's statistics too
    trained = {id(p) for group in fit.optimizers[0].param_groups for p in group["params"]}
    assert not trained & {id(p) for p in made.teachers.parameters()}


def test_checkpoint_has_no_teachers_and_needs_none_of_their_files(teachers_dir: Path, tmp_path: Path) -> None:
    files = shutil.copytree(teachers_dir, tmp_path / "teachers")
    config = {
        "representation": REPRESENTATION,
        "identity_teacher": str(files / "identity.ckpt"),
        "emotion_teacher": str(files / "emotion.ckpt"),
    }
    made = configured(DistillModule, config, tmp_path)
    fit = trainer(tmp_path, max_steps=2, max_epochs=-1)
    fit.fit(made, datamodule=SmallFaces(pictures=4))
    for name, weights_only in (("whole.ckpt", False), ("weights.ckpt", True)):
        fit.save_checkpoint(tmp_path / name, weights_only=weights_only)
    shutil.rmtree(files)
    for name in ("whole.ckpt", "weights.ckpt"):
        content = torch.load(tmp_path / name, weights_only=True)
        assert {key.split(".")[0] for key in content["state_dict"]} == {"representation"}
        assert ("optimizer_states" in content) == (name == "whole.ckpt")
        loaded = DistillModule.load_from_checkpoint(tmp_path / name, weights_only=True)
        assert_same(loaded.state_dict(), made.state_dict())


@pytest.mark.parametrize("finetune", [False, True])
def test_the_speech_encoder_is_frozen_unless_asked(
    teachers: dict[str, Any], tmp_path: Path, finetune: bool
) -> None:
    made = distill(finetune_cpc=finetune, **teachers)
    before = copied(made.representation)
    trainer(tmp_path, max_steps=2, max_epochs=-1).fit(made, datamodule=SmallFaces(pictures=4))
    after = made.representation.state_dict()
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    encoder = {name for name in after if name.startswith("cpc.")}
    assert changed >= set(after) - encoder
    assert changed & encoder == (encoder if finetune else set())
    assert made.representation.cpc.training is finetune


def test_fine_tuning_keeps_cpcs_own_loss(teachers: dict[str, Any], tmp_path: Path) -> None:
    losses = Losses("train/loss/contrastive")
    fit = trainer(tmp_path, losses, max_steps=2, max_epochs=-1)
    fit.fit(distill(finetune_cpc=True, **teachers), datamodule=SmallFaces(pictures=4))
    parts = [v.item() for k, v in fit.callback_metrics.items() if k.startswith("train/loss/")]
    assert len(parts) == 5 and losses.values[-1] > 0
    assert fit.callback_metrics["train/loss"].item() == pytest.approx(sum(parts), rel=1e-5)
    thrice = Losses("train/loss/contrastive")
    fit = trainer(tmp_path, thrice, max_steps=1, max_epochs=-1)
    fit.fit(distill(finetune_cpc=True, contrastive_weight=3.0, **teachers), datamodule=SmallFaces(pictures=4))
    assert thrice.values[0] == pytest.approx(3 * losses.values[0], rel=1e-5)
    without = distill(finetune_cpc=True, contrastive_weight=0.0, **teachers)
    fit = trainer(tmp_path, max_steps=1, max_epochs=-1)
    fit.fit(without, datamodule=SmallFaces(pictures=4))
    assert "train/loss/contrastive" not in fit.callback_metrics and without.prediction is None


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([], r"no identity and no emotion teacher: set model\.init_args\.identity_teacher and .*emotion_te"),
        (["identity_teacher"], r"has no emotion teacher: set model\.init_args\.emotion_teacher to"),
    ],
)
@pytest.mark.parametrize("verb", ["fit", "test"])
def test_without_teachers_there_is_nothing_to_distill(
    teachers: dict[str, Any], tmp_path: Path, given: list[str], says: str, verb: str
) -> None:
    made = distill(**{name: teachers[name] for name in given})
    with pytest.raises(InputError, match=says):
        getattr(trainer(tmp_path, max_steps=1), verb)(made, datamodule=SmallFaces())


def test_fewer_frames_than_mu_is_the_mean_of_are_one_error(tmp_path: Path) -> None:
    """Before the teachers are read, of which there are none here; a test has whole clips."""
    made, data = distill(frames_per_clip=5), SmallFaces(pictures=4)
    data.num_frames = 4  # type: ignore[attr-defined]
    for verb in ("fit", "validate"):
        with pytest.raises(InputError, match="frames_per_clip is 5, but the data serves 4 frames of a clip"):
            getattr(trainer(tmp_path, max_steps=1), verb)(made, datamodule=data)
    made.check_data("test", data)
    data.num_frames = 5  # type: ignore[attr-defined]
    made.check_data("fit", data)


def test_names_the_head_that_does_not_fit_its_teacher(teachers: dict[str, Any], tmp_path: Path) -> None:
    made = distill(emotion_feature="embedding", **teachers)
    with pytest.raises(
        InputError, match=r"emotion teacher's feature has 102 values, the emotion head 2: .*=102"
    ):
        trainer(tmp_path, max_steps=1).fit(made, datamodule=SmallFaces(pictures=2))


def test_teachers_of_each_others_labels_are_refused(teachers: dict[str, Any]) -> None:
    """Their feature sizes may be alike, and then nothing else would tell."""
    swapped = dict(zip(teachers, reversed(teachers.values()), strict=True))
    with pytest.raises(
        InputError, match=r"identity_teacher is .*emotion.*, which was trained on emotion labels"
    ):
        distill(**swapped).setup("test")
    with pytest.raises(
        InputError, match=r"emotion_teacher is .*identity.*, which was trained on speaker labels"
    ):
        distill(**{**teachers, "emotion_teacher": teachers["identity_teacher"]}).setup("test")


def test_another_optimizer_takes_the_modules_rate() -> None:
    (group,) = distill(optimizer=torch.optim.AdamW, lr=0.5).configure_optimizers().param_groups
    assert group["lr"] == 0.5 and group["betas"] == (0.9, 0.999)
    with pytest.warns(
        UserWarning, match="^the optimizer's lr of 0.1 does nothing: rates are set by model.init_args.lr$"
    ):
        distill(optimizer=lambda weights: torch.optim.Adam(weights, lr=0.1)).configure_optimizers()
    with pytest.raises(InputError, match=r"^LBFGS can't train these networks"):
        distill(optimizer=torch.optim.LBFGS).configure_optimizers()
