"""Runs the test protocol on what `test_step` returns, and writes the report."""

import itertools
import math
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import WandbLogger
from rich.console import Console
from torch.utils.data import DataLoader

from callbacks.generated_clip import compared_part
from data_modules.clip_manifest import MANIFEST_NAME
from data_modules.shared_batches import test_loaders
from s2v.batch import TalkingFaceBatch
from s2v.errors import InputError
from s2v.evaluation.clip_metric import ClipMetric
from s2v.evaluation.clip_rows import TestClip
from s2v.evaluation.exported_frames import exported_frames
from s2v.evaluation.held_pictures import HeldPictures
from s2v.evaluation.protocol import Protocol, generated_frames
from s2v.evaluation.provenance import files_trained_with
from s2v.evaluation.report import Report
from s2v.evaluation.scoring import Scoring
from s2v.evaluation.scoring_job import ScoringJob
from s2v.evaluation.scoring_pool import ScoringPool
from s2v.evaluation.speech_samples import as_int16
from s2v.evaluation.summary import SystemSummary
from s2v.files.file_hash import sha256_of_file
from s2v.files.whole_file import check_can_be_made
from s2v.models.face_landmarks import trees_file
from s2v.training.step_counters import logged_step

OURS = "speech2video"


class TestReport(Callback):
    """Writes report.json, report.csv, report.md, report.html and contact_sheet.png for the test split.

    Every test batch is one whole clip, and `test_step` returns its frames, {"generated", "real"}:
    (T, 3, H, W) uint8. Clips are measured as they come; only numbers, embeddings and thumbnails are kept.

    Args:
        output_dir: where to write; None: the trainer's log directory.
        identity_judge: face network for the identity metrics (see `load_face_judge`); None leaves them out.
        emotion_judge: face network that classifies emotions; likewise.
        syncnet: SyncNet for the lips metrics; likewise.
        lpips: file of torchvision's AlexNet weights for LPIPS; likewise.
        fid: file of the Inception of FID (`s2v.weights.FID_FILE`); likewise. Slow without a GPU.
        landmarks: dlib's 68 landmarks for blinks and mouths, a .dat file or "dlib" (extra `landmarks`); likewise.
        contact_sheet: draw one (a strip for each speaker, or clip without one, and emotion, at most `max_strips`).
        system: name of what is tested, in the report; None: the module's `system_name`, or speech2video.
        bootstrap: resamples behind each 95 % interval.
        max_strips: bounds the contact sheet.
        other_frames: calibration rows of other clips' frames too; they take a pass over the clips beforehand.
        exported: measure the frames also as a viewer gets them, through the MP4 of an export (metrics in `_mp4`).
        metrics: of your own, see docs/extending.md.
        workers: processes that measure clips on the CPU, one thread each, while the next is generated; the numbers are
            the same. 0 measures where and when the clip is generated.
    """

    __test__ = False  # not a test of pytest's

    def __init__(
        self,
        output_dir: str | None = None,
        identity_judge: str | None = None,
        emotion_judge: str | None = None,
        syncnet: str | None = None,
        lpips: str | None = None,
        fid: str | None = None,
        landmarks: str | None = None,
        contact_sheet: bool = True,
        system: str | None = None,
        bootstrap: int = 1000,
        max_strips: int = 48,
        other_frames: bool = True,
        exported: bool = True,
        metrics: list[ClipMetric] | None = None,
        workers: int = 0,
    ) -> None:
        self.output_dir = output_dir
        self.identity_judge = identity_judge
        self.emotion_judge = emotion_judge
        self.syncnet = syncnet
        self.lpips = lpips
        self.fid = fid
        self.landmarks = landmarks
        self.contact_sheet = contact_sheet
        self.system = system or OURS
        self._named = system is not None
        self.bootstrap = bootstrap
        self.max_strips = max_strips
        self.other_frames = other_frames
        self.exported = exported
        self.metrics = metrics or []
        self.workers = workers
        self.report: Report | None = None
        self._protocol: Protocol | None = None
        self._scoring: Scoring | None = None
        self._pool: ScoringPool | None = None
        self._sentences: dict[str, str] = {}

    def weight_sources(self, stage: str, resuming: bool) -> dict[str, str | None]:
        """What will be read, for `s2v.training.early_check`.

        Raises:
            InputError: the landmarks are the installed package's, and it is not installed.
        """
        if stage != "test":
            return {}
        from s2v.weights import FID_FILE

        return {
            "the face judge": self.identity_judge,
            "the emotion judge": self.emotion_judge,
            "the sync judge": self.syncnet,
            "LPIPS' AlexNet": self.lpips,
            f"FID's Inception, {FID_FILE}": self.fid,
            "landmarks, dlib's shape_predictor_68_face_landmarks.dat": trees_file(self.landmarks)
            if self.landmarks
            else None,
        }

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Load the judges, so that a wrong path stops the run before anything is generated."""
        if stage != "test":
            return
        check_can_be_made(self._folder(trainer), "TestReport's output_dir")
        if trainer.world_size > 1:
            raise InputError(
                f"a report is made on one device, {trainer.world_size} are configured: a distributed sampler "
                "counts some clips twice; set trainer.devices=1"
            )
        if self.workers < 0:
            raise InputError(f"TestReport's workers is {self.workers}, but must be 0 or more")
        if self.workers and self.metrics:
            raise InputError(
                "TestReport measures metrics of your own in the test's process alone: set its workers to 0"
            )
        if not self._named:
            self.system = getattr(pl_module, "system_name", OURS)
        self._protocol = self._job().protocol(self.metrics)

    def check_judges(self) -> None:
        """Load the judges and let go of them: for a fit that is to end with the test (`s2v fit --test_after_fit`)."""
        if self.output_dir:
            check_can_be_made(Path(self.output_dir), "TestReport's output_dir")
        self._job().protocol(self.metrics)

    def _job(self) -> ScoringJob:
        return ScoringJob(
            self.system,
            self.identity_judge,
            self.emotion_judge,
            self.syncnet,
            self.lpips,
            self.fid,
            self.landmarks,
        )

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Bring the judges to the module's device, and look through the clips for what is held against others."""
        if self._protocol is None:
            raise InputError("TestReport measures in `s2v test` only")
        protocol = self._protocol
        if self.other_frames:
            protocol.hold(_held_pictures(trainer, pl_module))
        self._sentences = getattr(getattr(trainer, "datamodule", None), "sentences", {})
        self._scoring = Scoring(protocol, self.bootstrap, self.max_strips if self.contact_sheet else 0)
        self._pool = ScoringPool(self._scoring, self._job(), self.workers) if self.workers else None
        if self._pool is None:
            protocol.move_to(pl_module.device)

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: TalkingFaceBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Measure the clip right away."""
        if len(batch["clip_id"]) != 1:
            raise InputError(
                f"the test loader must serve one whole clip a batch, {len(batch['clip_id'])} came"
            )
        data: Any = getattr(trainer, "datamodule", None)
        made = outputs if isinstance(outputs, dict) else {}
        speaker = _name(getattr(data, "speakers", None), int(batch["speaker"][0]))
        real, generated = made.get("real", batch["frames"][0]), made.get("generated")
        clip = TestClip(
            clip_id=batch["clip_id"][0],
            speaker=speaker,
            gender=getattr(data, "genders", {}).get(speaker, ""),
            emotion=_name(getattr(data, "emotions", None), int(batch["emotion"][0])),
            real=real,
            # a stream's frames come on the CPU
            generated=None if generated is None else generated.to(real.device),
            speech=as_int16(batch["speech"][0]),
            sentence=self._sentences.get(batch["clip_id"][0], ""),
        )
        frames = generated_frames(clip)
        if self.exported and isinstance(frames, torch.Tensor):
            clip.exported = exported_frames(frames).to(real.device)
        if self._pool is not None:
            self._pool.add(clip)
        else:
            self._running().add(clip)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the report and the contact sheet, log the means, print the table."""
        if self._pool is not None:
            self._pool.finish()
        teachers = files_trained_with(dict(pl_module.hparams))
        self.report = self._running().report(self._meta(trainer, pl_module), teachers)
        if self.report is None:
            raise InputError(
                "the test served no clip, so there is nothing to report: look at the test split and limit_test_batches"
            )
        folder = self._folder(trainer)
        self.report.write(folder)
        step = logged_step(trainer)  # as Lightning's own test metrics have it
        for logger in trainer.loggers:
            logger.log_metrics(_logged(self.report.systems), step=step)
            if isinstance(logger, WandbLogger):
                columns = ["metric", "better", *self.report.systems]
                logger.log_table("test/report", columns=columns, data=self.report.table())
        console = Console()
        console.print(self.report.rich_table())
        console.print(f"report: {folder / 'report.md'}", soft_wrap=True)

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Leave no process behind."""
        if self._pool is not None:
            self._pool.stop()

    def _folder(self, trainer: pl.Trainer) -> Path:
        return Path(self.output_dir or trainer.log_dir or trainer.default_root_dir)

    def _running(self) -> Scoring:
        if self._scoring is None:
            raise InputError("TestReport measures in `s2v test` only")
        return self._scoring

    def _meta(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        data: Any = getattr(trainer, "datamodule", None)
        weights = trainer.ckpt_path or getattr(pl_module, "weights_file", None)
        checkpoint = str(weights) if weights else None
        said = None if trainer.ckpt_path else getattr(pl_module, "weights_note", None)
        note = {"note": said} if said else {}
        manifest = Path(data.cache_dir) / MANIFEST_NAME if hasattr(data, "cache_dir") else None
        return {
            "dataset": type(data).__name__ if data is not None else None,
            "manifest": _file_and_hash(manifest),
            "stills": _file_and_hash(getattr(pl_module, "stills_file", None)),
            "split": f"test of {getattr(data, 'split', '?')}",
            "checkpoint": {"file": checkpoint, "sha256": sha256_of_file(checkpoint), **note}
            if checkpoint
            else None,
            "crop": getattr(data, "cached_crop", None),
            "device": str(pl_module.device),
        }


def _file_and_hash(file: str | Path | None) -> dict[str, str] | None:
    """None where there is no such file."""
    there = file is not None and Path(file).is_file()
    return {"file": str(file), "sha256": sha256_of_file(str(file))} if there else None


def _held_pictures(trainer: pl.Trainer, pl_module: pl.LightningModule) -> HeldPictures:
    """What the test's clips have to hold against each other: a pass over the loaders, nothing is generated."""
    data: Any = getattr(trainer, "datamodule", None)
    held = HeldPictures()
    # a loader draws seeds for its workers; the test shall not notice
    with torch.random.fork_rng(devices=[]):
        for loader, most in zip(test_loaders(trainer), trainer.num_test_batches, strict=True):
            batches = itertools.islice(_another_pass(loader), int(most) if math.isfinite(most) else None)
            for batch in batches:
                speaker = _name(getattr(data, "speakers", None), int(batch["speaker"][0]))
                held.add(batch["clip_id"][0], speaker, compared_part(pl_module, batch["frames"][0]))
    return held


def _another_pass(loader: Any) -> Any:
    """A loader of the same clips. Kept workers serve one pass at a time: a second one would end the test's own."""
    if not getattr(loader, "persistent_workers", False):
        return loader
    return DataLoader(
        loader.dataset,
        batch_sampler=loader.batch_sampler,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        worker_init_fn=loader.worker_init_fn,
    )


def _name(names: list[str] | None, index: int) -> str:
    """The label behind an index of the batch; empty for -1, the number itself where the data has no names."""
    if index < 0:
        return ""
    return names[index] if names else str(index)


def _logged(systems: dict[str, SystemSummary]) -> dict[str, float]:
    """test/<system>/<metric> -> mean, for those that were measured."""
    means = {
        f"test/{name}/{metric}": value.mean
        for name, found in systems.items()
        for metric, value in found.items()
    }
    coverage = {
        f"test/{name}/{what}": float(getattr(found, what))
        for name, found in systems.items()
        for what in ("scored", "total")
    }
    return {name: value for name, value in means.items() if value == value} | coverage
