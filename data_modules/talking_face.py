"""The data module every kind of corpus shares: cached clips in, `TalkingFaceBatch`es out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, Trainer
from torch.utils.data import DataLoader, Dataset

from data_modules.clip_manifest import ManifestRow
from data_modules.exact_resume_sampler import ExactResumeSampler, ResumableLoader
from data_modules.loader_worker import begin_worker
from data_modules.pixel_names import pixel_names
from data_modules.prepared_clips import ClipRequest, PreparedClips, is_prepared, read_prepared
from data_modules.shared_batches import SharedBatches
from data_modules.speech_augmentation import SpeechAugmentation
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
        if seed < 0:
            raise InputError(f"seed must be 0 or more, {seed} came")
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
        self._read: PreparedClips | None = None

    def prepared_clips(self) -> PreparedClips:
        """What is in the cache, read when it is first asked for.

        Raises:
            InputError: there are no clips, of another size or crop, or not to be split like this.
        """
        if self._read is None:
            self._read = read_prepared(
                ClipRequest(
                    self.cache_dir,
                    self.root,
                    self.layout,
                    self.split,
                    self.image_size,
                    self.crop,
                    self._wanted_speakers,
                    self.max_clips,
                )
            )
        return self._read

    @property
    def speakers(self) -> list[str]:
        """Names of the speakers, sorted, of those whom the manifest names; a batch's `speaker` indexes them."""
        return self.prepared_clips().speakers

    @property
    def emotions(self) -> list[str]:
        """Names of the emotions, sorted; a batch's `emotion` indexes them."""
        return self.prepared_clips().emotions

    @property
    def genders(self) -> dict[str, str]:
        """Speaker -> female or male, of those whose gender the manifest says."""
        return {row.speaker: row.gender for row in self.prepared_clips().rows.values() if row.gender}

    @property
    def sentences(self) -> dict[str, str]:
        """Clip id -> what is said in it, of those whose sentence the manifest says."""
        return {row.clip_id: row.sentence for row in self.prepared_clips().rows.values() if row.sentence}

    @property
    def fps(self) -> float:
        """Stored frames a second, the same in all clips of a cache."""
        return self.prepared_clips().fps

    @property
    def cached_crop(self) -> str | None:
        """How the clips were cropped, as their own header says; None: a cache of a version that did not say it."""
        return self.prepared_clips().crop

    def clips(self, part: str) -> list[ManifestRow]:
        """Manifest rows of `train`, `val` or `test`, sorted by clip id."""
        return self.prepared_clips().clips(part)

    def whole_clips(self, part: str, names: Sequence[str] | None = None) -> WholeClipDataset:
        """All of each clip of `train`, `val` or `test`; only those named, in that order, where names are given."""
        clips = self.prepared_clips().columns(part)
        if names is not None:
            named = {clip.clip_id: clip for clip in clips}
            return WholeClipDataset([named[name] for name in names])
        return WholeClipDataset(clips)

    def pixel_names(self, part: str) -> dict[str, str]:
        """Clip id -> a name for the frames that are served of it: they are the same as long as it is."""
        return pixel_names(self.cache_dir, self.clips(part))

    def prepare_data(self) -> None:
        """Decodes the corpus where a root is given and there is no cache yet, or one that was not finished."""
        if self.root is not None and not is_prepared(self.cache_dir):
            from data_modules.preparation import prepare

            try:
                prepare(
                    self.root,
                    self.layout,
                    self.cache_dir,
                    size=self.image_size,
                    crop=self.crop,
                    workers=max(self.num_workers, 1),
                )
            except InputError as error:
                named = "; options with -- are those of `s2v prepare`, which can be run before the fit"
                raise InputError(f"{error}{named if '--' in str(error) else ''}") from None

    def look_at_clips(self) -> bool:
        """Read what is prepared and split it, before loggers begin; what `prepare_data` is to make is not missed.

        Returns:
            Whether there are clips already.

        Raises:
            InputError: there are no clips, of another size or crop, or not to be split like this.
        """
        if self.root is not None and not is_prepared(self.cache_dir):
            return False
        self.prepared_clips()
        return True

    def setup(self, stage: str | None = None) -> None:
        self.prepared_clips()

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
            self.prepared_clips().columns("train", self.window_frames),
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
            self.prepared_clips().columns("val", self.window_frames),
            self.window_frames,
            self.num_frames,
            self.frame_step,
            random=False,
        )
        return self._loader(
            dataset, self.batch_size, SharedBatches(len(dataset), self.batch_size, *self._place())
        )

    def test_dataloader(self) -> DataLoader[Window]:
        # kept workers serve one pass at a time, and TestReport looks through the clips within the test's own pass
        return self._loader(WholeClipDataset(self.prepared_clips().columns("test")), 1, keep_workers=False)

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


def _check_no_second_sampler(trainer: Trainer) -> None:
    """Lightning would share out again what `ExactResumeSampler` has shared out: most windows would never be seen."""
    if trainer._accelerator_connector.use_distributed_sampler:
        raise InputError(
            "with several processes the Trainer needs use_distributed_sampler=False: these data modules give each "
            "process its own windows, and Lightning would do it again"
        )
