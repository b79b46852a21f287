"""Generated clips beside the real ones, with sound, on disk and in the run's loggers."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import lightning.pytorch as pl
import torch
from einops import rearrange
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from callbacks.generated_clip import check_generates_clips, compared_part, generated_clip
from data_modules.evenly_spaced import evenly_spaced
from data_modules.shared_batches import validation_loaders
from data_modules.windows import WholeClipDataset, Window, WindowDataset
from s2v.batch import FPS, SAMPLES_PER_FRAME
from s2v.errors import InputError
from s2v.files.clip_file_name import clip_file_name
from s2v.files.whole_file import PARTIAL
from s2v.generation.mp4_writer import write_mp4
from s2v.training.step_counters import logged_step


@dataclass(frozen=True)
class Sample:
    """A generated clip, the real one and their speech.

    Attributes:
        name: the clip's id, fit for a file name.
        real: (T, 3, H, W) uint8.
        generated: (T, 3, H, W) uint8.
        speech: (T * 640,) float.
    """

    name: str
    real: Tensor
    generated: Tensor
    speech: Tensor


class SampleVideos(pl.Callback):
    """At the end of a validation, generate the same few validation clips and write real | generated as MP4.

    Videos go to `<output_dir>/step-<step>/<clip>.mp4`; to Weights & Biases as videos with sound; to
    TensorBoard as strips of stills, real above generated. Clips are whole where the data set is of windows of
    clips, and made as `s2v export` makes them. Only rank 0 works; training's random numbers are left alone.

    Args:
        num_clips: how many, evenly spaced over the validation set, the first of several.
        every_n_epochs: in a fit, only at the validations of every n-th epoch.
        output_dir: by default `samples` in the log folder.
        max_seconds: longer clips are cut to their beginning.
    """

    def __init__(
        self,
        num_clips: int = 4,
        every_n_epochs: int = 1,
        output_dir: str | None = None,
        max_seconds: float = 10.0,
    ) -> None:
        for name, value in {"num_clips": num_clips, "every_n_epochs": every_n_epochs}.items():
            if value < 1:
                raise InputError(f"SampleVideos: {name} must be at least 1, got {value}")
        if max_seconds * FPS < 1:
            raise InputError(
                f"SampleVideos: max_seconds must be at least a frame's {1 / FPS}, got {max_seconds}"
            )
        self.num_clips = num_clips
        self.every_n_epochs = every_n_epochs
        self.output_dir = output_dir
        self.max_seconds = max_seconds

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Fail before an epoch has been trained, not after it."""
        check_generates_clips(self, pl_module)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remove what a run killed while it wrote a video has left half-written: this run makes that video anew."""
        folder = self._folder(trainer)
        if trainer.is_global_zero:
            for partial in folder.glob(f"step-*/.*{PARTIAL}"):
                partial.unlink(missing_ok=True)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Generate, write, log. It comes before on_validation_end, where averaged weights are put back."""
        fitting = trainer.state.fn == "fit"
        due = not fitting or (trainer.current_epoch + 1) % self.every_n_epochs == 0
        if trainer.sanity_checking or not due:
            return
        step = trainer.global_step if fitting else logged_step(trainer)  # outside a fit Lightning's is 0
        folder = self._folder(trainer) / f"step-{step:06d}"
        if not trainer.is_global_zero:
            return
        devices = [pl_module.device] if pl_module.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            samples = [make_sample(pl_module, clip, self.max_seconds) for clip in self._clips(trainer)]
        try:
            paths = [write_sample(sample, folder) for sample in samples]
            log_samples(trainer, samples, paths, step)
        except OSError as error:  # a full disk should not end a week's training for the sake of some videos
            rank_zero_warn(f"SampleVideos: sample videos of step {step} are not written: {error}")

    def _folder(self, trainer: pl.Trainer) -> Path:
        if self.output_dir is not None:
            return Path(self.output_dir)
        # every rank has to ask: Lightning has rank 0 tell the others
        return Path(trainer.log_dir or trainer.default_root_dir) / "samples"

    def _clips(self, trainer: pl.Trainer) -> Iterator[Window]:
        """Yield the same clips each time, evenly spaced: a sorted data set begins with one speaker's alone.

        Of a data set without a length, the first ones.
        """
        dataset: Dataset[Window] = validation_loaders(trainer)[0].dataset
        if isinstance(dataset, IterableDataset):
            yield from islice(dataset, self.num_clips)
            return
        if isinstance(dataset, WindowDataset):
            dataset = WholeClipDataset(dataset.clips)
        for place in evenly_spaced(len(dataset), self.num_clips):  # type: ignore[arg-type]
            yield dataset[place]


def make_sample(module: pl.LightningModule, clip: Window, max_seconds: float) -> Sample:
    """Generate what was said in a clip or window, and pair the frames with the real ones."""
    real = clip["frames"][: round(max_seconds * FPS)].clone()  # a view would keep a ten-minute clip in memory
    # A window may hold more speech than frames: its first frame then lies somewhere in it.
    first = round(float(clip["frame_times"][0]) * FPS - 0.5)
    last = first + len(real)
    speech = clip["speech"]
    if first == 0 and last * SAMPLES_PER_FRAME <= len(speech):
        speech = speech[: last * SAMPLES_PER_FRAME]
    frames = max(last, len(speech) // SAMPLES_PER_FRAME)
    generated = generated_clip(module, speech, frames, clip["still"])[first:last].cpu()
    heard = clip["speech"][first * SAMPLES_PER_FRAME : last * SAMPLES_PER_FRAME]
    return Sample(clip_file_name(clip["clip_id"]), compared_part(module, real), generated, heard)


def write_sample(sample: Sample, folder: Path) -> Path:
    """Write real | generated with sound as `folder`/<name>.mp4."""
    path = folder / f"{sample.name}.mp4"
    write_mp4(path, [torch.cat([sample.real, sample.generated], dim=-1)], [sample.speech])
    return path


def still_strip(sample: Sample, count: int = 6) -> Tensor:
    """Stills evenly spaced in time, real above generated: (3, 2 H, count * W) uint8."""
    length = len(sample.real)
    count = min(count, length)
    chosen = torch.tensor([(2 * i + 1) * length // (2 * count) for i in range(count)])
    rows = torch.stack([sample.real[chosen], sample.generated[chosen]])
    return rearrange(rows, "row time rgb height width -> rgb (row height) (time width)")


def log_samples(trainer: pl.Trainer, samples: list[Sample], paths: list[Path], step: int) -> None:
    """Hand the samples to each logger that can show them."""
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            names = [sample.name for sample in samples]
            files = [str(path) for path in paths]
            logger.log_video("samples", files, step, caption=names, format=["mp4"] * len(files))
        elif isinstance(logger, TensorBoardLogger):
            for sample in samples:
                logger.experiment.add_image(f"samples/{sample.name}", still_strip(sample), step)
