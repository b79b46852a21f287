"""The data module every kind of corpus shares: cached clips in, `TalkingFaceBatch`es out."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch.utils.data import DataLoader, Dataset

from data_modules.clip_cache import CachedClip, read_header
from data_modules.clip_columns import ClipColumns
from data_modules.clip_manifest import MANIFEST_NAME, ManifestRow, read_manifest
from data_modules.evenly_spaced import evenly_spaced
from data_modules.exact_resume_sampler import ExactResumeSampler, ResumableLoader
from data_modules.layouts import layout_for_prepare
from data_modules.loader_worker import begin_worker
from data_modules.pixel_names import pixel_names
from data_modules.shared_batches import SharedBatches
from data_modules.speech_augmentation import SpeechAugmentation
from data_modules.splits import PARTS, Split, split_of, write_split
from data_modules.unfinished import is_unfinished
from data_modules.windows import WholeClipDataset, Window, WindowDataset, collate_windows
from s2v.batch import WITHOUT_CONSENT
from s2v.errors import InputError
from s2v.training.step_counters import batches_begun


class TalkingFaceDataModule(LightningDataModule):
    """Serves windows of cached clips for training and validation, whole clips for test and prediction.

    Training windows are random as a function of (seed, epoch, index), and an interrupted run resumes with
    exactly the batches it would have seen. Validation windows are the clips' middles. With several processes each gets
    its share of either (give the Trainer `use_distributed_sampler=False`: the samplers share out themselves), as whole
    batches of validation, so that one process would have the same; test clips are served to one process.

    Args:
        cache_dir: folder that `s2v prepare` filled.
        root: the corpus itself; where given and the cache is missing, `prepare_data` makes it.
        split: seen (by clip, known speakers), recordings (known speakers too, but no video that a training clip was cut
            from), unseen (by speaker), sentences, official, or a folder with train.txt, val.txt and test.txt.
        image_size: side of the cached frames in pixels.
        crop: none, center or face, as the cache was prepared; none and center are the same central square.
        window_frames: frames whose speech is served (40 = 1.6 s).
        num_frames: pictures out of these.
        seed: of the order of clips and of where their windows lie; the configs in experiments/ give it the run's own.
        frame_step: how many frames lie from one picture to the next; 1 serves consecutive ones, more spreads
            the same number of pictures over more of the clip.
        speakers: only these speakers; None: all.
        max_clips: at most so many clips of each part; None: all.
        windows_per_clip: windows drawn from each clip in an epoch.
        windows_per_speaker: windows drawn from each speaker in an epoch, in place of `windows_per_clip`: for corpora
            where some speakers have far more clips than others. A clip without a speaker counts as one.
        speaker_exponent: with `windows_per_speaker`, a speaker of n clips gives n to this power times as many windows:
            0 is every speaker alike, 1 every clip alike, 0.5 the compromise of multilingual training (Devlin et al.,
            2019), where few people with much video teach how lips move and many with little who they are.
        speech_augmentation: how training speech is changed at random; None: not at all.
        flip: mirror half of the training windows.
        even_frames: show a clip's first and last frames in training as often as those in its middle, for networks that
            draw frames; otherwise windows lie anywhere, which suits what reads speech.
    """

    layout = "folder"
    """The corpus layout that `s2v prepare` is told: a name, or the path of a function, `package.module.function`."""

    def __init__(
        self,
        cache_dir: str,
        root: str | None = None,
        split: str = "seen",
        image_size: int = 128,
        crop: str = "none",
        window_frames: int = 40,
        num_frames: int = 16,
        frame_step: int = 1,
        batch_size: int = 16,
        num_workers: int = 2,
        seed: int = 0,
        speakers: list[str] | None = None,
        max_clips: int | None = None,
        windows_per_clip: int = 1,
        flip: bool = False,
        pin_memory: bool | None = None,
        windows_per_speaker: int | None = None,
        speaker_exponent: float = 0.0,
        speech_augmentation: SpeechAugmentation | None = None,
        even_frames: bool = False,
    ) -> None:
        super().__init__()
        for name, value in {
            "window_frames": window_frames,
            "num_frames": num_frames,
            "frame_step": frame_step,
            "batch_size": batch_size,
            "windows_per_clip": windows_per_clip,
            "windows_per_speaker": windows_per_speaker,
        }.items():
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, {value} came")
        if not 0 <= speaker_exponent <= 1:
            raise InputError(f"speaker_exponent must lie between 0 and 1, {speaker_exponent} came")
        if speaker_exponent and windows_per_speaker is None:
            raise InputError(
                "speaker_exponent says nothing without windows_per_speaker: set that too, or neither"
            )
        if (num_frames - 1) * frame_step >= window_frames:
            raise InputError(
                f"{num_frames} pictures, {frame_step} frames apart, do not fit in window_frames ({window_frames})"
            )
        self.cache_dir = Path(cache_dir)
        self.root = Path(root) if root is not None else None
        self.split = split
        self.image_size = image_size
        self.crop = crop
        self.window_frames = window_frames
        self.num_frames = num_frames
        self.frame_step = frame_step
        if num_workers < 0:
            raise InputError(f"num_workers must be 0 or more, {num_workers} came")
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.max_clips = max_clips
        self.windows_per_clip = windows_per_clip
        self.windows_per_speaker = windows_per_speaker
        self.speaker_exponent = speaker_exponent
        self.even_frames = even_frames
        self.speech_augmentation = speech_augmentation
        self.flip = flip
        self.pin_memory = torch.cuda.is_available() if pin_memory is None else pin_memory
        self._wanted_speakers = speakers
        self._rows: dict[str, ManifestRow] = {}
        self._cached_crop: str | None = None
        self._split: Split = {}
        self._speakers: list[str] = []
        self._emotions: list[str] = []

    @property
    def speakers(self) -> list[str]:
        """Names of the speakers, sorted, of those whom the manifest names; a batch's `speaker` indexes them."""
        self._read()
        return self._speakers

    @property
    def emotions(self) -> list[str]:
        """Names of the emotions, sorted; a batch's `emotion` indexes them."""
        self._read()
        return self._emotions

    @property
    def genders(self) -> dict[str, str]:
        """Speaker -> female or male, of those whose gender the manifest says."""
        self._read()
        return {row.speaker: row.gender for row in self._rows.values() if row.gender}

    @property
    def sentences(self) -> dict[str, str]:
        """Clip id -> what is said in it, of those whose sentence the manifest says."""
        self._read()
        return {row.clip_id: row.sentence for row in self._rows.values() if row.sentence}

    @property
    def fps(self) -> float:
        """Stored frames a second, the same in all clips of a cache."""
        self._read()
        return next(iter(self._rows.values())).fps

    @property
    def cached_crop(self) -> str | None:
        """How the clips were cropped, as their own header says; None: a cache of a version that did not say it."""
        self._read()
        return self._cached_crop

    def clips(self, part: str) -> list[ManifestRow]:
        """Manifest rows of `train`, `val` or `test`, sorted by clip id."""
        self._read()
        return [self._rows[name] for name in self._split[part]]

    def whole_clips(self, part: str, names: Sequence[str] | None = None) -> WholeClipDataset:
        """All of each clip of `train`, `val` or `test`; only those named, in that order, where names are given."""
        clips = self._served(part, whole=True)
        if names is not None:
            named = {clip.clip_id: clip for clip in clips}
            return WholeClipDataset([named[name] for name in names])
        return WholeClipDataset(clips)

    def pixel_names(self, part: str) -> dict[str, str]:
        """Clip id -> a name for the frames that are served of it: they are the same as long as it is."""
        return pixel_names(self.cache_dir, self.clips(part))

    def prepare_data(self) -> None:
        """Decodes the corpus where a root is given and there is no cache yet, or one that was not finished."""
        if self.root is not None and not self._is_prepared():
            from data_modules.preparation import prepare

            prepare(
                self.root,
                self.layout,
                self.cache_dir,
                size=self.image_size,
                crop=self.crop,
                workers=max(self.num_workers, 1),
            )

    def _is_prepared(self) -> bool:
        return (self.cache_dir / MANIFEST_NAME).is_file() and not is_unfinished(self.cache_dir)

    def look_at_clips(self) -> bool:
        """Read what is prepared and split it, before loggers begin; what `prepare_data` is to make is not missed.

        Returns:
            Whether there are clips already.

        Raises:
            InputError: there are no clips, of another size or crop, or not to be split like this.
        """
        if self.root is not None and not self._is_prepared():
            return False
        self._read()
        return True

    def setup(self, stage: str | None = None) -> None:
        self._read()

    def state_dict(self) -> dict[str, Any]:
        """A checkpoint says which of the speakers it was trained on had not agreed to it, for `s2v export`."""
        # strangers are not one person: a clip without a speaker stands for itself
        unasked = {row.speaker or row.clip_id for row in self.clips("train") if row.consent == "no"}
        return {WITHOUT_CONSENT: sorted(unasked)} if unasked else {}

    def check_data(self, stage: str, data: Any) -> None:
        """A fit's epoch needs a batch; `s2v.training.early_check` asks before loggers begin.

        Raises:
            InputError: batch_size is more than the training windows.
        """
        if stage != "fit":
            return
        # most corpora have a window for each place in a batch: their windows, a million perhaps, are not laid out twice
        long = sum(row.frames >= self.window_frames for row in self.clips("train"))
        if self.windows_per_speaker is not None or long < self.batch_size:
            self._check_batch(len(self._train_windows()), 1)

    def _check_batch(self, windows: int, world_size: int) -> None:
        if windows < self.batch_size * world_size:
            raise InputError(
                f"batch_size {self.batch_size} on {world_size} device(s) is more than the "
                f"{windows} windows of the training split of {self.cache_dir}; lower batch_size "
                f"or raise windows_per_{'clip' if self.windows_per_speaker is None else 'speaker'}"
            )

    def _train_windows(self) -> WindowDataset:
        return WindowDataset(
            self._served("train"),
            self.window_frames,
            self.num_frames,
            self.frame_step,
            self.seed,
            self.windows_per_clip,
            self.flip,
            windows_per_speaker=self.windows_per_speaker,
            speaker_exponent=self.speaker_exponent,
            augmentation=self.speech_augmentation,
            even_frames=self.even_frames,
        )

    def train_dataloader(self) -> DataLoader[Window]:
        dataset = self._train_windows()
        rank, world_size = self._place()
        sampler = ExactResumeSampler(
            len(dataset),
            self.batch_size,
            self.seed,
            self._batches_done,
            rank,
            world_size,
            self._batches_per_epoch,
        )
        self._check_batch(len(dataset), world_size)
        self._full_batches = sampler.full_batches
        return self._loader(dataset, self.batch_size, sampler=sampler, drop_last=True)

    def val_dataloader(self) -> DataLoader[Window]:
        dataset = WindowDataset(
            self._served("val"), self.window_frames, self.num_frames, self.frame_step, random=False
        )
        return self._loader(
            dataset, self.batch_size, SharedBatches(len(dataset), self.batch_size, *self._place())
        )

    def test_dataloader(self) -> DataLoader[Window]:
        # kept workers serve one pass at a time, and TestReport looks through the clips within the test's own pass
        return self._loader(WholeClipDataset(self._served("test", whole=True)), 1, keep_workers=False)

    def predict_dataloader(self) -> DataLoader[Window]:
        return self.test_dataloader()

    def _loader(
        self,
        dataset: Dataset[Window],
        batch_size: int,
        sampler: ExactResumeSampler | SharedBatches | None = None,
        drop_last: bool = False,
        keep_workers: bool = True,
    ) -> DataLoader[Window]:
        return ResumableLoader(
            dataset,
            batch_size=batch_size,
            sampler=sampler,
            shuffle=False,
            drop_last=drop_last,
            num_workers=self.num_workers,
            collate_fn=collate_windows,
            generator=torch.Generator().manual_seed(self.seed),
            pin_memory=self.pin_memory,
            persistent_workers=keep_workers and self.num_workers > 0,
            worker_init_fn=begin_worker if self.num_workers > 0 else None,
        )

    def _place(self) -> tuple[int, int]:
        """This process's rank, and the number of processes."""
        trainer = self.trainer
        if trainer is None:
            return 0, 1
        if trainer.world_size > 1:
            _check_no_second_sampler(trainer)
        return trainer.global_rank, trainer.world_size

    def _batches_done(self) -> int:
        return batches_begun(self.trainer) if self.trainer is not None else 0

    def _batches_per_epoch(self) -> int:
        limit = self.trainer.num_training_batches if self.trainer is not None else float("inf")
        return int(min(limit, self._full_batches)) or self._full_batches

    def _served(self, part: str, whole: bool = False) -> ClipColumns:
        rows = self.clips(part)
        if not rows:
            raise InputError(
                f"the {part} part of split {self.split!r} of {self.cache_dir} is empty "
                f"({len(self._rows)} usable clips, {len(self._speakers)} speakers): prepare more "
                "clips or choose another split"
            )
        long = [row for row in rows if whole or row.frames >= self.window_frames]
        if not long:
            raise InputError(
                f"all {len(rows)} clips of the {part} part of {self.cache_dir} are shorter than a "
                f"window of {self.window_frames} frames (the longest has "
                f"{max(row.frames for row in rows)}); lower window_frames"
            )
        if len(long) < len(rows):
            rank_zero_info(
                f"{len(rows) - len(long)} of {len(rows)} {part} clips are shorter than a window of "
                f"{self.window_frames} frames and are left out"
            )
        speakers = {name: number for number, name in enumerate(self._speakers)}
        emotions = {name: number for number, name in enumerate(self._emotions)}
        return ClipColumns(
            [row.clip_id for row in long],
            # a Path for each takes most of a fit's start
            [os.path.join(self.cache_dir, row.cache_file) for row in long],
            [row.frames for row in long],
            [int(row.fps) for row in long],
            [speakers.get(row.speaker, -1) for row in long],
            [emotions.get(row.emotion, -1) for row in long],
        )

    def _read(self) -> None:
        if self._rows:
            return
        manifest = self.cache_dir / MANIFEST_NAME
        if not manifest.is_file():
            raise InputError(f"no prepared clips in {self.cache_dir}; run `{self._prepare_command()}`")
        if is_unfinished(self.cache_dir):
            rank_zero_warn(
                f"the preparation of {self.cache_dir} has not come to its end: these are the clips so far; "
                f"`{self._prepare_command()}` goes on"
            )
        every = read_manifest(manifest)
        if not every:
            raise InputError(f"{manifest} has no clip yet; let `{self._prepare_command()}` finish")
        usable = [row for row in every if row.ok]
        if not usable:
            raise InputError(
                f"none of the {len(every)} clips in {manifest} is usable; its column `reason` says why"
            )
        header = read_header(self.cache_dir / usable[0].cache_file)
        if (header.height, header.width) != (self.image_size, self.image_size):
            raise InputError(
                f"the clips in {self.cache_dir} are {header.width} x {header.height} pixels, image_size "
                f"is {self.image_size}; set image_size, or run `{self._prepare_command()} --overwrite`"
            )
        self._cached_crop = self._checked_crop(header)
        self._split = self._subset(self._make_split(every), {row.clip_id: row for row in usable})
        chosen = [
            row for row in usable if self._wanted_speakers is None or row.speaker in self._wanted_speakers
        ]
        self._speakers = sorted({row.speaker for row in chosen if row.speaker})
        self._emotions = sorted({row.emotion for row in chosen if row.emotion})
        self._rows = {row.clip_id: row for row in chosen}

    def _checked_crop(self, header: CachedClip) -> str | None:
        crop: str | None = header.settings.get("crop")
        if crop is not None and (crop == "face") != (self.crop == "face"):
            raise InputError(
                f"the clips in {self.cache_dir} were prepared with --crop {crop}, data.init_args.crop is {self.crop}; "
                f"set data.init_args.crop={crop}, or run `{self._prepare_command()} --overwrite`"
            )
        return crop

    def _make_split(self, rows: list[ManifestRow]) -> Split:
        split = split_of(rows, self.split)
        if Path(self.split).is_dir():
            return split
        try:
            write_split(self.cache_dir / "splits" / self.split, split)
        except OSError as error:
            rank_zero_info(f"the split's lists are not written to {self.cache_dir} ({error.strerror})")
        return split

    def _subset(self, split: Split, rows: dict[str, ManifestRow]) -> Split:
        if self._wanted_speakers is not None:
            unknown = sorted(set(self._wanted_speakers) - {row.speaker for row in rows.values()})
            if unknown:
                raise InputError(f"speakers {', '.join(unknown)} are not in {self.cache_dir}")
            wanted = set(self._wanted_speakers)
            split = {part: [name for name in split[part] if rows[name].speaker in wanted] for part in PARTS}
        if self.max_clips is not None:
            split = {
                part: [split[part][place] for place in evenly_spaced(len(split[part]), self.max_clips)]
                for part in PARTS
            }
        return split

    def _prepare_command(self) -> str:
        root = self.root if self.root is not None else "CORPUS"
        layout = layout_for_prepare(self.layout)
        size = f" --size {self.image_size}" if self.image_size != 128 else ""
        crop = f" --crop {self.crop}" if self.crop != "none" else ""
        return f"s2v prepare --root {root} --layout {layout} --cache {self.cache_dir}{size}{crop}"


def _check_no_second_sampler(trainer: Trainer) -> None:
    """Lightning would share out again what `ExactResumeSampler` has shared out: most windows would never be seen."""
    if trainer._accelerator_connector.use_distributed_sampler:
        raise InputError(
            "with several processes the Trainer needs use_distributed_sampler=False: these data modules give each "
            "process its own windows, and Lightning would do it again"
        )
