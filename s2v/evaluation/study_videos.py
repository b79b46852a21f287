"""A study's videos: read, and written anew all in one way, so that only picture and sound tell them apart."""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from data_modules.clip_refused import ClipRefused
from s2v.batch import SAMPLE_RATE
from s2v.errors import InputError
from s2v.evaluation.study_plan import REAL
from s2v.evaluation.video_pairs import VideoPair, find_videos, labels_in, read_shown_video
from s2v.generation.mp4_writer import write_mp4

CRF = 15
"""H.264 quality of every copy: what the copy loses is not seen."""
LONGEST_SHIFT = 1.0
SHORTEST_SHIFT = 0.4
"""Seconds by which an attention check's sound is late; the shorter one is still plain to see."""
QUIETEST = 0.01
"""Sound whose peak is below this share of full scale is taken for silence."""


Videos = dict[str, dict[str, Path]]
"""Of each folder, the systems' and the real one's: clip -> file."""


def find_study_videos(real: Path, systems: dict[str, Path]) -> Videos:
    """The videos of the real folder and of every system.

    Raises:
        InputError: a folder that is not there, or two videos of one name in it.
    """
    folders = {**systems, REAL: real}
    for name, folder in folders.items():
        if not folder.is_dir():
            raise InputError(f"no folder {folder}: expected the videos of {name}")
    return {name: find_videos(folder) for name, folder in folders.items()}


def shared_clips(found: Videos) -> dict[str, dict[str, Path]]:
    """Clips of which every folder has a video: clip -> system -> file, sorted.

    Raises:
        InputError: there is no name that all of them have.
    """
    shared = set.intersection(*(set(videos) for videos in found.values()))
    if not shared:
        counts = ", ".join(f"{name}: {len(videos)} videos" for name, videos in found.items())
        raise InputError(f"no video of one name in every folder ({counts})")
    return {clip: {name: found[name][clip] for name in found} for clip in sorted(shared)}


def missing_clips(found: Videos) -> dict[str, int]:
    """Folder -> how many of the other folders' clips it lacks, so that none is shown; only where some are."""
    every = set().union(*found.values())
    return {name: len(every) - len(videos) for name, videos in found.items() if len(videos) < len(every)}


def known_emotions(real: Path, clips: list[str]) -> dict[str, str]:
    """Clip -> emotion, as the real folder's clips.csv says, or else a name of CREMA-D's; of those that have one.

    Raises:
        InputError: the table is malformed, or leaves out a clip.
    """
    labels = labels_in(real, clips)
    found = {clip: VideoPair(clip, None, None, labels=labels.get(clip, {})).emotion for clip in clips}
    return {clip: emotion for clip, emotion in found.items() if emotion}


def write_study_video(source: Path, target: Path, shifted: bool = False) -> tuple[int, int]:
    """Copy a video at 25 fps with 16 kHz mono sound, without metadata; returns its shown height and width.

    Every video goes through the same encoders: neither file size, frame rate, bandwidth nor metadata says whose it is.

    Args:
        source: any video with sound.
        target: the MP4 to write.
        shifted: for an attention check, the sound is moved around by up to LONGEST_SHIFT seconds.

    Raises:
        InputError: it does not decode, has no sound to be heard, or is too short to be shifted.
    """
    try:
        frames, speech, pixel_aspect = read_shown_video(source)
    except ClipRefused as refusal:
        raise InputError(f"{source}: {refusal}") from refusal
    if isinstance(speech, str):
        raise InputError(f"{source}: {speech}; a study's videos need sound")
    sound = speech.float() / 32768
    if sound.numel() == 0 or float(sound.abs().max()) < QUIETEST:
        raise InputError(f"{source}: its sound is silence; a study's videos need sound")
    if shifted:
        sound = shift_sound(sound, source)
    frames = with_square_pixels(frames, pixel_aspect)
    write_mp4(target, [frames], [sound], crf=CRF, comment="", threads=1)
    return frames.shape[2], frames.shape[3]


def with_square_pixels(frames: Tensor, pixel_aspect: float) -> Tensor:
    """Frames (T, 3, H, W) uint8 as wide as a player shows them; `pixel_aspect` = width of a pixel / its height."""
    height, width = frames.shape[2:]
    shown = max(1, round(width * pixel_aspect))
    if shown == width:
        return frames
    resized = torch.empty(len(frames), 3, height, shown, dtype=torch.uint8)
    # one by one: a minute of video in float32 is gigabytes
    for frame, target in zip(frames, resized, strict=True):
        target.copy_(
            functional.interpolate(
                frame[None].float(), size=(height, shown), mode="bilinear", antialias=True
            )[0].round()
        )
    return resized


def shift_sound(sound: Tensor, source: Path) -> Tensor:
    """Sound (n,) at 16 kHz, late by half its length but at most a second; what leaves at the end comes first."""
    samples = min(round(LONGEST_SHIFT * SAMPLE_RATE), len(sound) // 2)
    if samples < SHORTEST_SHIFT * SAMPLE_RATE:
        raise InputError(
            f"{source}: too short for an attention check, expected {2 * SHORTEST_SHIFT:g} s or more"
        )
    return torch.roll(sound, samples)
