"""The test protocol: every clip, as the system made it and as calibration systems would, is a row.

Calibration rows say what a metric can tell apart: the ground truth itself, the ground truth beside its own
speech shifted by 10 frames, beside another clip's speech (of another sentence where sentences are known), and the
clip's first frame held still; where `HeldPictures` are at hand, also a frame of another clip of the speaker, the mean
of the speaker's other clips and another speaker's frame, held still. A clip that can't be measured stays a row and
says why.

Of a clip that is also given as it comes out of an export's MP4, some metrics are measured on that as well (`MP4`).

What compares pixels (SSIM, PSNR, LPIPS, sharpness, motion) needs a generated clip of the real one's size and number of
frames; lips, identity, emotion, landmarks, FID and the speakers' spread are measured on whatever frames there are.
"""

import contextlib
import math

import torch
from torch import Tensor

from s2v.errors import InputError
from s2v.evaluation.borrowed_speech import BorrowedSpeech
from s2v.evaluation.clip_embeddings import ClipEmbeddings
from s2v.evaluation.clip_measurement import ClipMeasurement
from s2v.evaluation.clip_rows import (
    BY_LABEL,
    BY_REAL_FRAMES,
    CALIBRATION,
    EXPORTED,
    GROUND_TRUTH,
    MP4,
    OTHER_FRAMES,
    OWN_FRAMES,
    SHIFTED,
    SHIFTED_BY,
    STILL,
    SWAPPED,
    ClipRow,
    TestClip,
)
from s2v.evaluation.held_pictures import HeldPictures
from s2v.evaluation.judges import FaceJudge, FidJudge, PerceptualJudge, SyncJudge
from s2v.evaluation.landmark_comparison import compare_landmarks
from s2v.evaluation.landmark_judge import LandmarkJudge
from s2v.evaluation.own_metrics import OwnMetrics
from s2v.evaluation.pixel_comparison import PixelComparison
from s2v.evaluation.retrieval import add_retrieval
from s2v.evaluation.row_table import RowTable
from s2v.evaluation.speaker_spread import SpeakerSpread
from s2v.evaluation.split_fid import SplitFid
from s2v.metrics.diversity import mean_picture
from s2v.metrics.emotion import canonical_emotion, clip_emotion
from s2v.metrics.identity import clip_embedding, identity_cosine
from s2v.metrics.image_quality import check_clip
from s2v.metrics.lip_sync import pair_with_later_speech, still_lips, sync_values
from s2v.metrics.sync_confidence import SyncMode, lip_embeddings, scored_windows, sync_embeddings


class Protocol:
    """Measures clips one by one; memory grows by the rows' numbers and a few embeddings a clip, and by small pictures
    of each speaker. What `hold` is given, three pictures of each in their own size, was gathered before.

    Args:
        system: the name under which the generated clips are reported.
        identity: judge of who it is; None leaves these metrics out.
        emotion: judge of the emotion, with class names; likewise.
        sync: lip-sync judge; likewise.
        perceptual: LPIPS; likewise.
        fid: the Inception of FID; likewise.
        landmarks: of eyelids and mouths; likewise.
        trim: see `PixelComparison`.
        resize: likewise.
        own: metrics of one's own.

    Raises:
        InputError: the system's name is a calibration row's.
    """

    def __init__(
        self,
        system: str = "speech2video",
        identity: FaceJudge | None = None,
        emotion: FaceJudge | None = None,
        sync: SyncJudge | None = None,
        perceptual: PerceptualJudge | None = None,
        fid: FidJudge | None = None,
        landmarks: LandmarkJudge | None = None,
        trim: int = 0,
        resize: bool = False,
        own: OwnMetrics | None = None,
    ) -> None:
        if system in CALIBRATION or not system.strip():
            raise InputError(
                f"a system can't be called {system!r}: that is a calibration row's name, or empty"
            )
        self.systems: tuple[str, ...] = (system, *OWN_FRAMES)
        self.held: HeldPictures | None = None
        self.identity = identity
        self.emotion = emotion
        self.sync = sync
        self.perceptual = perceptual
        self.pixels = PixelComparison(perceptual, trim, resize)
        self.own = own or OwnMetrics()
        self.fid = fid
        self.landmarks = landmarks
        self.split_fid = SplitFid(GROUND_TRUTH) if fid is not None else None
        self.spread = SpeakerSpread()
        self.rows = RowTable()
        self._embeddings = ClipEmbeddings()
        self._borrowed: BorrowedSpeech[tuple[int, Tensor]] = BorrowedSpeech()
        """Of embeddings (W, D); the index of a row that waits for them, and its clip's lips (W, D)."""

    def hold(self, held: HeldPictures) -> None:
        """Hold these pictures against the clips to come: more calibration rows, if any speaker is known."""
        assert not self.rows
        if held.speakers:
            self.held = held
            self.systems = (*self.systems[:1], *OWN_FRAMES, *OTHER_FRAMES)

    def move_to(self, device: torch.device | str) -> None:
        """Bring the judges' networks to a device."""
        for judge in (self.identity, self.emotion, self.sync, self.perceptual, self.fid):
            if judge is not None:
                judge.network.to(device)
        self.own.move_to(device)

    def add(self, clip: TestClip) -> dict[str, ClipRow]:
        """Measure one clip; its rows by system. Identity ranks and the first swaps wait for `finish`."""
        return self.take(self.measure(clip))

    def measure(self, clip: TestClip) -> ClipMeasurement:
        """What the clip alone tells, kept nowhere: `take` does, in the test's order, perhaps in another process."""
        rows = self._new_rows(clip.clip_id, clip.speaker, clip.gender)
        found = ClipMeasurement(clip.clip_id, clip.speaker, rows, sentence=clip.sentence)
        pictures = {GROUND_TRUTH: clip.real}
        generated = generated_frames(clip)
        if isinstance(generated, str):
            rows[self.systems[0]].reasons.append(generated)
        else:
            pictures[self.systems[0]] = generated
        stills = {STILL: clip.real[:1]}
        others = self.held.against(clip.clip_id, clip.speaker, clip.real) if self.held else {}
        for name, picture in others.items():
            if isinstance(picture, str):
                rows[name].reasons.append(picture)
            else:
                stills[name] = picture
        faces = pictures | stills
        self.pixels.measure(rows, clip.real, faces, self.systems[0])
        if clip.speaker:
            seen = {name: mean_picture(frames) for name, frames in faces.items()}
            found.pictures = seen | {name: seen[GROUND_TRUTH] for name in (SHIFTED, SWAPPED)}
        if self.fid is not None:
            found.features = {name: self.fid.features(frames) for name, frames in faces.items()}
        if self.landmarks is not None:
            compare_landmarks(rows, {name: self.landmarks.landmarks(part) for name, part in faces.items()})
        if self.identity is not None:
            found.embeddings = self._embed_identity(rows, faces)
        if self.emotion is not None:
            self._judge_emotion(rows, faces, clip.emotion)
        if self.sync is not None:
            self._measure_sync(found, clip, pictures, stills)
        self.own.measure(found, clip, faces, self.systems[0], self.pixels)
        if clip.exported is not None:
            rows[self.systems[0]].values |= self._exported_values(found, clip, clip.exported)
        return found

    def _exported_values(self, found: ClipMeasurement, clip: TestClip, exported: Tensor) -> dict[str, float]:
        """Of frames as they come out of an export's MP4: what keeps it from being measured, the row's own says."""
        row = ClipRow(clip.clip_id, clip.speaker, self.systems[0])
        self.pixels.measure_pair(row, exported, clip.real, with_lpips=False)
        if self.identity is not None:
            embedding = clip_embedding(self.identity.look(exported, "embedding"))
            real = found.embeddings[GROUND_TRUTH]
            row.values["identity_cosine"] = float(identity_cosine(embedding[None], real[None]))
        if self.sync is not None:
            with contextlib.suppress(InputError):
                _add_sync(row, *self._embedded(exported, clip, found.heard), self.sync.mode)
        return {f"{name}{MP4}": row.values[name] for name in EXPORTED if name in row.values}

    def take(self, found: ClipMeasurement) -> dict[str, ClipRow]:
        """Keep what `measure` found, clip by clip in the test's order; the clip's rows by system."""
        for name, picture in found.pictures.items():
            self.spread.add(name, found.speaker, picture, found.pictures[GROUND_TRUTH])
        if self.split_fid is not None:
            for name, features in found.features.items():
                self.split_fid.add(name, features)
        if self.identity is not None:
            self._embeddings.append(found.embeddings)
        swapped = len(self.rows) + list(found.rows).index(SWAPPED)
        if self.sync is not None and found.lips is not None and found.heard is not None:
            borrowed = self._borrowed.take(found.sentence, found.heard, (swapped, found.lips))
            if borrowed is not None:
                _add_swap(found.rows[SWAPPED], found.lips, borrowed, self.sync.mode)
        self.own.take(found, swapped)
        for row in found.rows.values():
            self.rows.append(row)
        return found.rows

    def refuse(self, clip_id: str, speaker: str, reason: str) -> dict[str, ClipRow]:
        """A clip of which not even the real frames can be had: its rows, with the reason and nothing else."""
        rows = self._new_rows(clip_id, speaker)
        for row in rows.values():
            row.reasons.append(reason)
        return self.take(ClipMeasurement(clip_id, speaker, rows))

    def _new_rows(self, clip_id: str, speaker: str, gender: str = "") -> dict[str, ClipRow]:
        return {name: ClipRow(clip_id, speaker, name, gender=gender) for name in self.systems}

    def finish(self) -> RowTable:
        """All rows, complete: a speaker's gallery and the first clips' swaps need all clips."""
        for (index, lips), borrowed in self._borrowed.finish():
            assert self.sync is not None  # who else had embedded lips
            row = self.rows[index]
            _add_swap(row, lips, borrowed, self.sync.mode)
            self.rows[index] = row
        self.own.finish(self.rows)
        if self.identity is not None:
            add_retrieval(self.rows, self._embeddings)
        return self.rows

    def _embed_identity(self, rows: dict[str, ClipRow], faces: dict[str, Tensor]) -> dict[str, Tensor]:
        assert self.identity is not None
        found = {name: clip_embedding(self.identity.look(part, "embedding")) for name, part in faces.items()}
        found |= {name: found[GROUND_TRUTH] for name in (SHIFTED, SWAPPED)}
        for name, embedding in found.items():
            cosine = identity_cosine(embedding[None], found[GROUND_TRUTH][None])
            rows[name].values["identity_cosine"] = float(cosine)
        return found

    def _judge_emotion(self, rows: dict[str, ClipRow], faces: dict[str, Tensor], label: str) -> None:
        assert self.emotion is not None
        names = self.emotion.class_names
        seen = {name: names[clip_emotion(self.emotion.look(part, "logits"))] for name, part in faces.items()}
        seen |= {name: seen[GROUND_TRUTH] for name in (SHIFTED, SWAPPED)}
        wanted = canonical_emotion(label)
        by_label = wanted in names
        for name, predicted in seen.items():
            row = rows[name]
            row.emotion_true = wanted if by_label else seen[GROUND_TRUTH]
            row.emotion_reference = BY_LABEL if by_label else BY_REAL_FRAMES
            row.emotion_predicted = predicted
            row.values["emotion_accuracy"] = float(predicted == row.emotion_true)

    def _measure_sync(
        self,
        found: ClipMeasurement,
        clip: TestClip,
        pictures: dict[str, Tensor],
        stills: dict[str, Tensor],
    ) -> None:
        assert self.sync is not None
        rows = found.rows
        network, mode, ours = self.sync.network, self.sync.mode, self.systems[0]
        lips: Tensor | None = None
        heard: Tensor | None = None
        fault = ""
        try:
            speech = _heard(clip.speech)
            lips, heard = sync_embeddings(network, clip.real, speech)
        except InputError as error:
            fault = str(error)
        if ours in pictures:
            try:
                _add_sync(rows[ours], *self._embedded(pictures[ours], clip, heard), mode)
            except InputError as error:
                rows[ours].reasons.append(str(error))
        if lips is None or heard is None:
            for name in dict.fromkeys((*OWN_FRAMES, *stills)):
                rows[name].reasons.append(fault)
            return
        _add_sync(rows[GROUND_TRUTH], lips, heard, mode)
        _add_sync(rows[SHIFTED], *pair_with_later_speech(lips, heard, SHIFTED_BY), mode)
        for name, picture in stills.items():
            _add_sync(rows[name], still_lips(network, picture[0], speech, len(heard)), heard, mode)
        found.lips, found.heard = lips, heard

    def _embedded(self, frames: Tensor, clip: TestClip, heard: Tensor | None) -> tuple[Tensor, Tensor]:
        """Generated lips beside what is heard with them, `heard` where that is the real video's speech."""
        assert self.sync is not None
        network = self.sync.network
        if clip.generated_speech is not None:
            return sync_embeddings(network, frames, _heard(clip.generated_speech))
        speech = _heard(clip.speech)
        if heard is None or scored_windows(len(frames), len(speech)) > len(heard):
            return sync_embeddings(network, frames, speech)
        return lip_embeddings(network, frames, speech), heard


def _heard(speech: Tensor | str) -> Tensor:
    """Raises InputError with the reason where there is none."""
    if isinstance(speech, str):
        raise InputError(speech)
    return speech


def generated_frames(clip: TestClip) -> Tensor | str:
    """The generated frames (T, 3, H, W) uint8, or why there are none; they may be more or larger than the real."""
    if clip.generated is None:
        return "the system made no frames for this clip"
    if isinstance(clip.generated, Tensor):
        try:
            check_clip(clip.generated, "generated")
        except InputError as error:
            return str(error)
    return clip.generated


def _add_swap(row: ClipRow, lips: Tensor, borrowed: Tensor | str, mode: SyncMode) -> None:
    """What another clip's speech makes of the lips, or why there is none."""
    if isinstance(borrowed, str):
        row.reasons.append(borrowed)
    else:
        _add_sync(row, lips, borrowed, mode)


def _add_sync(row: ClipRow, lips: Tensor, heard: Tensor, mode: SyncMode) -> None:
    """Sync values of the windows that both have."""
    windows = min(len(lips), len(heard))
    if windows == 0:
        row.reasons.append("too short for SyncNet once the speech is shifted")
        return
    values = sync_values(lips[:windows], heard[:windows], mode)
    row.values |= values
    if math.isnan(values["sync_prefers_true"]):
        row.reasons.append(f"{windows} windows: too short to compare shifts of 5 frames and more")
