"""The logged numbers are the metric's over all validation clips, on one process and on two."""

import math
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch

from callbacks.image_quality import ImageQuality, PerceptualDistance
from s2v.batch import TalkingFaceBatch
from s2v.errors import InputError
from s2v.metrics.image_quality import frame_psnr, frame_ssim, sharpness
from s2v.weights import load_lpips
from tests.callbacks.speaking_squares import SpeakingSquares, Squares, square_batch
from tests.quiet_trainer import trainer
from tests.s2v.evaluation.judge_checkpoints import save_alexnet


def validation() -> list[TalkingFaceBatch]:
    """Batches of unlike size: a mean over batches would be wrong."""
    return [
        square_batch([("ann", "anger", 1), ("ben", "anger", 2)], frames=4),
        square_batch([("cem", "happiness", 3)], frames=6),
    ]


def expected() -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for batch in validation():
        for real in batch["frames"]:
            brighter = (real.int() + 5).clamp(max=255).to(torch.uint8)
            found.setdefault("val/sharpness", []).append(sharpness(brighter, real))
            for name, function in (("ssim", frame_ssim), ("psnr", frame_psnr)):
                found.setdefault(f"val/{name}", []).append(function(brighter, real).mean().item())
                found.setdefault(f"val/{name}_mouth", []).append(
                    function(brighter, real, "lower").mean().item()
                )
    return {name: sum(values) / len(values) for name, values in found.items()}


def test_logs_the_mean_over_clips(tmp_path: Path) -> None:
    run = trainer(tmp_path, ImageQuality())
    run.validate(SpeakingSquares(), datamodule=Squares(val=validation()), verbose=False)
    found = {name: value.item() for name, value in run.callback_metrics.items()}
    assert found == pytest.approx(expected(), abs=1e-4)
    assert expected()["val/psnr_mouth"] == pytest.approx(34.15, abs=0.01)  # 20 log10(255 / 5)


class Mumbling(SpeakingSquares):
    """Wrong in the lower half alone."""

    def validation_step(self, batch: TalkingFaceBatch, batch_idx: int) -> dict[str, torch.Tensor]:
        found = super().validation_step(batch, batch_idx)
        real = found["real_frames"]
        half = real.shape[-2] // 2
        return found | {"fake_frames": torch.cat([real[..., :half, :], -real[..., half:, :]], dim=-2)}


def test_the_mouth_is_the_lower_half(tmp_path: Path) -> None:
    """A squared error of half of the picture counts twice there: 3 dB."""
    run = trainer(tmp_path, ImageQuality())
    run.validate(Mumbling(), datamodule=Squares(val=validation()), verbose=False)
    found = {name: value.item() for name, value in run.callback_metrics.items()}
    assert found["val/psnr"] - found["val/psnr_mouth"] == pytest.approx(10 * math.log10(2), abs=1e-3)
    assert found["val/ssim_mouth"] < found["val/ssim"] - 0.1


def test_lpips_where_its_weights_are_given(tmp_path: Path) -> None:
    weights = tmp_path / "alexnet.pth"
    save_alexnet(weights)
    run = trainer(tmp_path, PerceptualDistance(str(weights)))
    for _ in range(2):  # the second validation starts anew
        run.validate(SpeakingSquares(), datamodule=Squares(val=validation()), verbose=False)
    network, values = load_lpips(str(weights)), []
    for batch in validation():
        for real in batch["frames"]:
            brighter = (real.int() + 5).clamp(max=255)
            values.append(network(brighter.float(), real.float()).mean().item())
    found = run.callback_metrics["val/lpips"].item()
    assert found == pytest.approx(sum(values) / len(values), rel=1e-4) and found > 0


def test_missing_lpips_weights_stop_the_run_at_its_start(tmp_path: Path) -> None:
    quality = PerceptualDistance(str(tmp_path / "none.pth"))
    with pytest.raises(InputError, match=r"no file at .*none\.pth"):
        trainer(tmp_path, quality).validate(SpeakingSquares(), datamodule=Squares(val=validation()))
    assert quality.weight_sources("fit", False) == {"LPIPS' AlexNet": str(tmp_path / "none.pth")}
    assert quality.weight_sources("test", False) == {"LPIPS' AlexNet": None}


def test_each_validation_starts_anew_even_after_the_sanity_check(tmp_path: Path) -> None:
    run = trainer(tmp_path, ImageQuality(), max_epochs=2, num_sanity_val_steps=1)
    run.fit(SpeakingSquares(), datamodule=Squares(val=validation()))
    found = {name: value.item() for name, value in run.callback_metrics.items() if name.startswith("val/")}
    assert found == pytest.approx(expected(), abs=1e-4)


class Silent(SpeakingSquares):
    """Returns nothing: a module without pictures."""

    def validation_step(self, batch: TalkingFaceBatch, batch_idx: int) -> None:  # type: ignore[override]
        return None


def test_a_module_without_frames_is_left_alone(tmp_path: Path) -> None:
    run = trainer(tmp_path, ImageQuality())
    run.validate(Silent(), datamodule=Squares(val=validation()), verbose=False)
    assert run.callback_metrics == {}


class Recorder(pl.Callback):
    """Writes what each rank was told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        torch.save(dict(trainer.callback_metrics), self.folder / f"{trainer.global_rank}.pt")


@pytest.mark.slow
def test_two_ranks_agree_with_one_process(tmp_path: Path) -> None:
    """Lightning's sampler gives rank 0 the first and third clip, rank 1 the second and, padded, the first."""
    run = trainer(tmp_path, ImageQuality(), Recorder(tmp_path), devices=2, strategy="ddp_fork")
    same = [square_batch([("ann", "anger", 1)], 4), square_batch([("cem", "happiness", 3)], 6)]
    run.validate(SpeakingSquares(), datamodule=Squares(val=same), verbose=False)
    ranks = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    assert ranks[0] == ranks[1]
    alone = trainer(tmp_path, ImageQuality())
    alone.validate(SpeakingSquares(), datamodule=Squares(val=same), verbose=False)
    for name, value in alone.callback_metrics.items():
        torch.testing.assert_close(ranks[0][name], value)
