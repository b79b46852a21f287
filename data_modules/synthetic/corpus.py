"""A corpus of invented talkers on disk, in CREMA-D's or VoxCeleb2's own layout, with the truth beside it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, get_args

import cv2
from joblib import Parallel, delayed

from data_modules.synthetic.clip import make_clip
from data_modules.synthetic.emotion import EMOTIONS
from data_modules.synthetic.encode import write_text, write_video, write_wav
from data_modules.synthetic.phones import MORE_SENTENCES, SENTENCES
from data_modules.synthetic.speaker import invent_speaker
from data_modules.unfinished import being_filled
from s2v.errors import InputError

Layout = Literal["crema_d", "voxceleb2"]
NATIVE_FPS = {"crema_d": Fraction(30000, 1001), "voxceleb2": Fraction(25)}
LEVELS = {"XX": 1.0, "LO": 0.6, "MD": 0.85, "HI": 1.2}  # CREMA-D's intensities
CLIPS_PER_VIDEO = 6  # VoxCeleb2: utterances cut from one video
LARGEST_SIZE = 1024  # of which a clip of 2.6 s takes a process 1 GB
VERSION = 4  # of what the files look and sound like; a change redoes them


@dataclass(frozen=True)
class ClipPlan:
    """Which clip this is and where it goes; paths are relative to the corpus."""

    speaker: int
    take: int
    sentence: str
    emotion: str
    level: str
    video: Path
    wav: Path | None
    truth: Path


def plan_corpus(
    layout: Layout, speakers: int, clips_per_speaker: int, sentences: int | None = None
) -> list[ClipPlan]:
    """Every clip, speaker by speaker, at CREMA-D's unspecified level, then at the others.

    Without a number of sentences: CREMA-D's twelve, each in all six emotions before the next. With one: all of
    them before any is repeated in another emotion, which another speaker begins with.
    """
    known, emotions, levels = [*SENTENCES, *MORE_SENTENCES], list(EMOTIONS), list(LEVELS)
    count = len(SENTENCES) if sentences is None else sentences
    plans = []
    for speaker in range(speakers):
        for take in range(clips_per_speaker):
            level, rest = divmod(take, count * len(emotions))
            if sentences is None:
                place, mood = divmod(rest, len(emotions))
            else:
                turn, place = divmod(rest, count)
                mood = (place + turn + speaker) % len(emotions)
            sentence, emotion = known[place], emotions[mood]
            if layout == "crema_d":
                name = f"{1001 + speaker}_{sentence}_{emotion}_{levels[level]}"
                video, wav = Path("VideoFlash", f"{name}.flv"), Path("AudioWAV", f"{name}.wav")
            else:
                folder, clip = divmod(take, CLIPS_PER_VIDEO)
                below = Path(_official_part(speaker), "mp4", f"id{1 + speaker:05d}")
                video = below / f"video{1 + folder:03d}" / f"{1 + clip:05d}.mp4"
                wav = None
            truth = Path("truth", video).with_suffix(".json")
            plans.append(ClipPlan(speaker, take, sentence, emotion, levels[level], video, wav, truth))
    return plans


def _official_part(speaker: int) -> str:
    """VoxCeleb2's folder of a speaker: the second of each three is a test speaker, however many there are."""
    return "test" if speaker % 3 == 1 else "dev"


def _settings_there(output: Path, settings: dict[str, Any]) -> dict[Path, dict[str, Any]]:
    """What each clip in the folder was made with, by its truth's path in it; a truth that can't be read is none."""
    there = {}
    for path in sorted((output / "truth").rglob("*.json")):
        try:
            known = dict(json.loads(path.read_text(encoding="utf-8"))["settings"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        # earlier versions did not note how many sentences there were
        there[path.relative_to(output)] = {"sentences": settings["sentences"], **known}
    return there


def _check_alone(
    output: Path, plans: list[ClipPlan], settings: dict[str, Any], there: dict[Path, dict[str, Any]]
) -> None:
    """Another corpus in the folder would be a part of this one. An older version's clips are made anew."""
    planned = {plan.truth for plan in plans}
    for truth, known in there.items():
        unlike = [name for name in settings if name != "version" and known.get(name) != settings[name]]
        if unlike:
            made, asked = (
                ", ".join(f"{name} {values.get(name)}" for name in unlike) for values in (known, settings)
            )
            raise InputError(
                f"{output} holds a corpus made with {made}, but {asked} is asked: give another folder, or delete it"
            )
        if truth not in planned:
            raise InputError(
                f"{output} holds a larger corpus than is asked, with {truth}: give another folder, or delete it"
            )


def _is_done(
    output: Path, plan: ClipPlan, settings: dict[str, Any], there: dict[Path, dict[str, Any]]
) -> bool:
    # The truth is written last: where it stands, the clip's other files do.
    media = [path for path in (plan.video, plan.wav) if path is not None]
    return there.get(plan.truth) == settings and all((output / path).is_file() for path in media)


def _write_clip(output: Path, plan: ClipPlan, settings: dict[str, Any]) -> None:
    cv2.setNumThreads(1)  # the workers are the parallelism
    seed, (low, high) = settings["seed"], settings["seconds"]
    clip = make_clip(
        invent_speaker(seed, plan.speaker),
        plan.emotion,
        plan.sentence,
        key=(seed, plan.speaker, plan.take),
        size=settings["size"],
        fps=Fraction(*settings["fps"]),
        seconds=(low, high),
        intensity=LEVELS[plan.level],
    )
    write_video(output / plan.video, clip.frames, clip.speech, clip.fps)
    if plan.wav is not None:
        write_wav(output / plan.wav, clip.speech)
    text = json.dumps({**clip.truth, "level": plan.level, "settings": settings})
    write_text(output / plan.truth, text)


def _demographics(speakers: int, seed: int) -> str:
    """CREMA-D's table, quoted as it is published."""
    rows = ['"ActorID","Age","Sex","Race","Ethnicity"']
    for index in range(speakers):
        person = invent_speaker(seed, index)
        rows.append(f'{1001 + index},{person.face.age},"{person.sex}","Unknown","Unknown"')
    return "\n".join(rows) + "\n"


def _vox2_meta(speakers: int, seed: int) -> str:
    """VoxCeleb2's table, with the spaces that it is published with; VGGFace2 has no such people."""
    rows = ["VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set "]
    for index in range(speakers):
        gender = invent_speaker(seed, index).sex[0].lower()
        rows.append(f"id{1 + index:05d} ,n{1 + index:06d} ,{gender} ,{_official_part(index)} ")
    return "\n".join(rows) + "\n"


def _check(
    layout: str,
    speakers: int,
    clips_per_speaker: int,
    seed: int,
    size: int,
    fps: float | None,
    workers: int,
    seconds: tuple[float, float],
    sentences: int | None,
) -> None:
    known = len(SENTENCES) + len(MORE_SENTENCES)
    most = len(LEVELS) * (len(SENTENCES) if sentences is None else sentences) * len(EMOTIONS)
    requirements = [
        (
            sentences is None or 1 <= sentences <= known,
            f"sentences must be from 1 to {known}, not {sentences}",
        ),
        (layout in get_args(Layout), f"layout must be one of {', '.join(get_args(Layout))}, not {layout!r}"),
        (1 <= speakers <= 9000, f"speakers must be from 1 to 9000, not {speakers}"),
        (
            1 <= clips_per_speaker <= most,
            f"clips per speaker must be from 1 to {most}, not {clips_per_speaker}",
        ),
        (seed >= 0, f"seed must be 0 or more, not {seed}"),
        (
            32 <= size <= LARGEST_SIZE and size % 2 == 0,
            f"size must be an even number of pixels from 32 to {LARGEST_SIZE}, not {size}",
        ),
        (fps is None or 5 <= fps <= 120, f"fps must be from 5 to 120, not {fps}"),
        (workers >= 1, f"workers must be at least 1, not {workers}"),
        (
            1.0 <= seconds[0] <= seconds[1] <= 20,
            f"seconds must be two lengths from 1 to 20, shorter first, not {seconds}",
        ),
    ]
    for fulfilled, complaint in requirements:
        if not fulfilled:
            raise InputError(complaint)


def write_corpus(
    output: Path,
    layout: Layout,
    speakers: int,
    clips_per_speaker: int,
    seed: int = 0,
    size: int = 128,
    fps: float | None = None,
    workers: int = 1,
    seconds: tuple[float, float] = (1.8, 2.6),
    progress: Callable[[int, int], None] | None = None,
    sentences: int | None = None,
) -> Path:
    """Synthesize a corpus, or what is missing of it; more speakers and clips can be added to one.

    A clip is a function of (seed, speaker, clip) and the settings, whatever the number of workers or clips.

    Args:
        output: folder to fill; made when absent.
        fps: None takes the layout's own, 29.97 (CREMA-D) or 25 (VoxCeleb2).
        seconds: shortest and longest clip.
        progress: called with (clips done, clips in all).
        sentences: how many, see `plan_corpus`; None for CREMA-D's.

    Returns:
        `output`.

    Raises:
        InputError: an argument out of range, the folder holds another corpus, or it cannot be written.
    """
    _check(layout, speakers, clips_per_speaker, seed, size, fps, workers, seconds, sentences)
    output = Path(output)
    rate = NATIVE_FPS[layout] if fps is None else Fraction(fps).limit_denominator(1001)
    if fps is not None and abs(fps - float(NATIVE_FPS["crema_d"])) < 0.005:
        rate = NATIVE_FPS["crema_d"]
    settings = {
        "version": VERSION, "layout": layout, "seed": seed, "size": size,
        "fps": [rate.numerator, rate.denominator], "seconds": [float(seconds[0]), float(seconds[1])],
        "sentences": sentences,
    }  # fmt: skip
    plans = plan_corpus(layout, speakers, clips_per_speaker, sentences)
    if layout == "voxceleb2" and (output / "truth" / "mp4").is_dir():
        raise InputError(
            f"{output} has a synthesized corpus of an earlier version, without dev/ and test/: delete it, or give "
            "another folder"
        )
    there = _settings_there(output, settings)
    _check_alone(output, plans, settings, there)
    name, written = {
        "crema_d": ("VideoDemographics.csv", _demographics),
        "voxceleb2": ("vox2_meta.csv", _vox2_meta),
    }[layout]
    table, people = output / name, written(speakers, seed)
    if not there and table.is_file() and table.read_bytes() != people.encode():
        raise InputError(f"{table} is another corpus's, perhaps a real one's: give another folder")
    missing = [plan for plan in plans if not _is_done(output, plan, settings, there)]
    done = len(plans) - len(missing)
    if progress:
        progress(done, len(plans))
    jobs = (delayed(_write_clip)(output, plan, settings) for plan in missing)
    with being_filled(output):
        write_text(table, people)
        for _ in Parallel(n_jobs=workers, return_as="generator_unordered")(jobs):
            done += 1
            if progress:
                progress(done, len(plans))
    return output
