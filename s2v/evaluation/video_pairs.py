"""Real and generated videos that belong together: paired by name, decoded into one clip of the protocol."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data_modules.clip_labels import CLIP_TABLE, read_clip_labels
from data_modules.clip_refused import ClipRefused
from data_modules.decode import VideoTrack, decode_frames, frames_on_screen, probe_video
from data_modules.layouts import CREMA_D_EMOTIONS, VOXCELEB2_SPEAKER, videos_below
from data_modules.speech_track import decode_speech
from s2v.batch import FPS, SAMPLE_RATE, SAMPLES_PER_FRAME
from s2v.errors import InputError
from s2v.evaluation.clip_rows import TestClip
from s2v.evaluation.video_crop import VideoCrop

MOST_BYTES = 2 * 2**30
"""A video larger than this when decoded is a row with its reason: scoring holds a pair at a time."""

# 1040_ITH_SAD_X is one of the corpus' own
_CREMA_D_NAME = re.compile(r"(?P<speaker>\d{4})_(?P<sentence>[A-Z]{3})_(?P<emotion>[A-Z]{3})_[A-Z]{1,2}")


@dataclass(frozen=True)
class VideoPair:
    """Two files of one name, or one that has no partner."""

    clip_id: str
    """Path below the folder, without suffix."""
    real: Path | None
    generated: Path | None
    gender: str = ""
    """Of the speaker, where a table of the corpus' says it."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What clips.csv says, empty cells too; what it has no column for, the name says."""

    @property
    def speaker(self) -> str:
        return self._label("speaker")

    @property
    def emotion(self) -> str:
        return self._label("emotion")

    @property
    def sentence(self) -> str:
        return self._label("sentence")

    def _label(self, kind: str) -> str:
        return self.labels[kind] if kind in self.labels else labels_by_name(self.clip_id)[kind]

    @property
    def unpaired(self) -> str:
        """Why there is nothing to compare; empty for a pair."""
        if self.real is None:
            return "unpaired: no real video of this name"
        return "unpaired: no generated video of this name" if self.generated is None else ""


def labels_by_name(clip_id: str) -> dict[str, str]:
    """Speaker, emotion and sentence by CREMA-D's names; by VoxCeleb2's folders, idNNNNN/VIDEO/, the speaker; by others
    the first subfolder is the speaker; else empty.
    """
    path = Path(clip_id)
    if match := _CREMA_D_NAME.fullmatch(path.name):
        return match.groupdict() | {"emotion": CREMA_D_EMOTIONS.get(match["emotion"], "")}
    folders = path.parts[:-1]
    # below mp4/ or dev/mp4/, which are nobody
    numbered = len(folders) > 1 and VOXCELEB2_SPEAKER.fullmatch(folders[-2])
    speaker = folders[-2] if numbered else folders[0] if folders else ""
    return {"speaker": speaker, "emotion": "", "sentence": ""}


def find_pairs(real: Path, generated: Path) -> list[VideoPair]:
    """Every video in two folders, or two files, sorted by name; with labels where the real folder has clips.csv.

    Raises:
        InputError: a path that is not there, a file against a folder, no video, two videos of one name, or a clips.csv
            that is malformed or leaves out a real video.
    """
    for path in (real, generated):
        if not path.exists():
            raise InputError(f"no file or folder {path}: give the videos with --real and --generated")
    if real.is_file() != generated.is_file():
        raise InputError(f"expected two files or two folders, but got {real} and {generated}")
    if real.is_file():
        return [VideoPair(real.stem, real, generated)]
    found, made = find_videos(real), find_videos(generated)
    if not found and not made:
        raise InputError(f"no videos in {real} and {generated}: expected *.mp4 or another video format")
    labels = labels_in(real, found)
    said = {name: labels.get(name, {}) for name in sorted({*found, *made})}
    return [
        VideoPair(name, found.get(name), made.get(name), known.get("gender", ""), known)
        for name, known in said.items()
    ]


def labels_in(real: Path, found: Collection[str]) -> dict[str, dict[str, str]]:
    """Clip -> what the folder's clips.csv says of it; empty without a table.

    Args:
        real: the folder.
        found: the names of its videos.

    Raises:
        InputError: the table is malformed, or leaves out a video.
    """
    labels = read_clip_labels(real)
    if labels and (without := [name for name in found if name not in labels]):
        raise InputError(
            f"{real / CLIP_TABLE} has no row for {len(without)} of {len(found)} videos, such as {without[0]}: clip_id "
            "is the path below the folder, without suffix"
        )
    return labels


def find_videos(folder: Path) -> dict[str, Path]:
    """A folder's videos by their path below it, without suffix; raises InputError for two of one name."""
    videos: dict[str, Path] = {}
    for path in videos_below(folder):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in videos:
            raise InputError(f"two videos of one name: {videos[name]} and {path}; keep one of them")
        videos[name] = path
    return videos


def read_pair(pair: VideoPair, own_sound: bool = True, crop: VideoCrop | None = None) -> TestClip | str:
    """The decoded clip; what only the generated file lacks is said in the clip.

    Args:
        pair: what to decode.
        own_sound: the generated video is heard with its own sound track; otherwise with the real one's.
        crop: cuts the face out of both: where both are of one size by the real one's box, so that pixels stay where
            they are to be compared, otherwise each by its own; None: whole pictures.

    Returns:
        A sentence where the real video can't be had: nothing can be compared then.
    """
    if pair.real is None:
        return pair.unpaired
    try:
        real, speech, aspect = read_shown_video(pair.real)
        whole_size = real.shape[-2:]
        box = crop.box(real, aspect) if crop is not None else None
        real = crop.cut(real, box) if crop is not None and box is not None else real
    except ClipRefused as refusal:
        return f"real video: {refusal}"
    generated: Tensor | str
    heard: Tensor | str | None = None
    if pair.generated is None:
        generated = pair.unpaired
    else:
        try:
            generated, heard, aspect = read_shown_video(pair.generated)
            if crop is not None and box is not None:
                own = box if generated.shape[-2:] == whole_size else crop.box(generated, aspect)
                generated = crop.cut(generated, own)
        except ClipRefused as refusal:
            generated = f"generated video: {refusal}"
    return TestClip(
        pair.clip_id,
        pair.speaker,
        pair.emotion,
        real,
        generated,
        speech,
        heard if own_sound else None,
        gender=pair.gender,
        sentence=pair.sentence,
    )


def real_frames(pair: VideoPair, crop: VideoCrop | None = None) -> Tensor | None:
    """The real video's frames as `read_pair` has them; None where they can't be had."""
    if pair.real is None:
        return None
    try:
        frames, video = _read_frames(pair.real)
        return frames if crop is None else crop.cut(frames, crop.box(frames, video.upright_aspect))
    except ClipRefused:
        return None


def read_video(path: Path) -> tuple[Tensor, Tensor | str]:
    """Frames (T, 3, H, W) uint8 RGB as shown at 25 fps, and the speech below them, (T * 640,) int16 at 16 kHz.

    Both by the container's timestamps: a sound track that starts late stays late. Without sound that can be
    decoded, the second is the reason.

    Raises:
        ClipRefused: no frames that decode, or too many to hold.
    """
    frames, speech, _ = read_shown_video(path)
    return frames, speech


def read_shown_video(path: Path) -> tuple[Tensor, Tensor | str, float]:
    """What `read_video` gives, and the width of a pixel / its height."""
    frames, video = _read_frames(path)
    try:
        speech = decode_speech(path)
    except ClipRefused as refusal:
        return frames, str(refusal), video.upright_aspect
    first = round((float(video.times[0]) - speech.start) * SAMPLE_RATE)
    count = len(frames)
    samples = np.pad(speech.samples, (max(-first, 0), 0))[max(first, 0) :][: count * SAMPLES_PER_FRAME]
    missing = count * SAMPLES_PER_FRAME - len(samples)
    return frames, torch.from_numpy(np.pad(samples, (0, missing))), video.upright_aspect


def _read_frames(path: Path) -> tuple[Tensor, VideoTrack]:
    """Frames at 25 fps from the first shown on, and what is known of the video."""
    video = probe_video(path)
    start = float(video.times[0])
    count = max(1, int((video.end - start) * FPS + 0.01))  # a hundredth of a frame: 2.9999 s are 75 frames
    size = count * 3 * video.width * video.height
    if size > MOST_BYTES:
        raise ClipRefused(
            f"too long or too large: {path.name} takes {size / 2**30:.1f} GiB decoded, at most "
            f"{MOST_BYTES / 2**30:g}; cut it into clips or scale it down"
        )
    frames = _stacked(decode_frames(video, frames_on_screen(video.times, start, FPS, count)), count)
    return frames, video


def _stacked(pictures: Iterator[np.ndarray], count: int) -> Tensor:
    """`count` pictures (H, W, 3) -> (count, 3, H, W), filled as they come."""
    frames: Tensor | None = None
    done = 0
    for done, picture in enumerate(pictures, start=1):
        if frames is None:
            frames = torch.empty((count, 3, *picture.shape[:2]), dtype=torch.uint8)
        frames[done - 1] = torch.from_numpy(picture).permute(2, 0, 1)
    if frames is None or done != count:
        raise ClipRefused(f"truncated or damaged: {done} of {count} frames decode")
    return frames
