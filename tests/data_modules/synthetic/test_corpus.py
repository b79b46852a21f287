"""The corpus on disk, read with PyAV, decord and scipy."""

import csv
import json
import os
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import decord
import numpy as np
import pytest
from scipy.io import wavfile

from data_modules.clip_manifest import ManifestRow
from data_modules.layouts import find_clips
from data_modules.splits import make_split
from data_modules.synthetic import write_corpus
from data_modules.synthetic.clip import make_clip
from data_modules.synthetic.corpus import plan_corpus
from data_modules.synthetic.speaker import invent_speaker
from s2v.errors import InputError

SHORT = (1.0, 1.3)


@pytest.fixture(scope="module")
def crema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("crema"), "crema_d", 2, 3, size=64, seconds=SHORT)


@pytest.fixture(scope="module")
def voxceleb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("vox"), "voxceleb2", 1, 2, size=64, seconds=SHORT)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_crema_d_names(crema: Path) -> None:
    videos = sorted(p.name for p in (crema / "VideoFlash").iterdir())
    assert videos == [
        f"{actor}_IEO_{emotion}_XX.flv" for actor in (1001, 1002) for emotion in ("ANG", "DIS", "FEA")
    ]
    assert sorted(p.stem for p in (crema / "AudioWAV").iterdir()) == [name[:-4] for name in videos]
    with (crema / "VideoDemographics.csv").open() as file:
        people = list(csv.DictReader(file))
    assert [p["ActorID"] for p in people] == ["1001", "1002"]
    assert [p["Sex"] for p in people] == ["Male", "Female"]
    assert list(people[0]) == ["ActorID", "Age", "Sex", "Race", "Ethnicity"]


def test_voxceleb2s_table_of_speakers(voxceleb: Path) -> None:
    lines = (voxceleb / "vox2_meta.csv").read_text().splitlines()
    assert lines == ["VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set ", "id00001 ,n000001 ,m ,dev "]


def test_voxceleb2s_speakers_are_for_training_or_test(tmp_path: Path) -> None:
    """As split `official` needs them: two test speakers of five, the same ones in a larger corpus."""
    write_corpus(tmp_path, "voxceleb2", 5, 1, size=64, seconds=SHORT)
    parts = {clip.speaker: clip.official_split for clip in find_clips(tmp_path, "voxceleb2")}
    assert parts == {f"id{n:05d}": "test" if n in (2, 5) else "dev" for n in range(1, 6)}
    lines = (tmp_path / "vox2_meta.csv").read_text().splitlines()[1:]
    assert {line.split(" ,")[0]: line.split(" ,")[3].strip() for line in lines} == parts
    larger = {plan.video for plan in plan_corpus("voxceleb2", 7, 1)}
    assert {plan.video for plan in plan_corpus("voxceleb2", 5, 1)} < larger
    rows = [ManifestRow(name, "ok", speaker=name, official_split=part) for name, part in parts.items()]
    assert {part: len(names) for part, names in make_split(rows, "official").items()} == {
        "train": 2,
        "val": 1,
        "test": 2,
    }


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"size": 96}, "a corpus made with size 64, but size 96 is asked: give another folder, or delete it"),
        ({"seed": 1}, "made with seed 0, but seed 1 is asked"),
        ({"sentences": 24}, "made with sentences None, but sentences 24 is asked"),
        (
            {"layout": "voxceleb2"},
            r"made with layout crema_d, fps \[30000, 1001\], but layout voxceleb2, fps \[25, 1\]",
        ),
        ({"speakers": 1}, "a larger corpus than is asked, with truth/VideoFlash/1002_IEO_ANG_XX.json"),
        ({"clips_per_speaker": 2}, "a larger corpus than is asked"),
    ],
)
def test_another_corpus_is_not_mixed_with(crema: Path, change: dict[str, Any], complaint: str) -> None:
    before = contents(crema)
    arguments = {"layout": "crema_d", "speakers": 2, "clips_per_speaker": 3, "size": 64, **change}
    with pytest.raises(InputError, match=complaint):
        write_corpus(crema, seconds=SHORT, **arguments)
    assert contents(crema) == before


@pytest.mark.parametrize(
    ("layout", "name"), [("crema_d", "VideoDemographics.csv"), ("voxceleb2", "vox2_meta.csv")]
)
def test_a_real_corpus_keeps_its_table(layout: Any, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"real\xff")
    with pytest.raises(InputError, match=f"{name} is another corpus's"):
        write_corpus(tmp_path, layout, 1, 1, size=32, seconds=SHORT)
    assert contents(tmp_path) == {name: b"real\xff"}


def test_an_earlier_versions_corpus_is_not_mixed_with(tmp_path: Path) -> None:
    (tmp_path / "truth" / "mp4").mkdir(parents=True)
    with pytest.raises(InputError, match="of an earlier version, without dev/ and test/: delete it"):
        write_corpus(tmp_path, "voxceleb2", 1, 1, size=64, seconds=SHORT)


def test_plan_is_sentences_times_emotions_then_levels() -> None:
    plans = plan_corpus("crema_d", 1, 80)
    assert {p.sentence for p in plans[:36]} == {"IEO", "TIE", "IOM", "IWW", "TAI", "MTI"}
    assert len({(p.sentence, p.emotion) for p in plans[:72]}) == 72
    assert {p.level for p in plans[:72]} == {"XX"} and {p.level for p in plans[72:]} == {"LO"}
    assert len({p.video for p in plans}) == 80
    assert all(re.fullmatch(r"\d{4}_[A-Z]{3}_[A-Z]{3}_(XX|LO|MD|HI)", p.video.stem) for p in plans)
    folders = {p.video.parent for p in plan_corpus("voxceleb2", 1, 18)}
    assert len(folders) == 3


def test_flv_is_real_video_with_sound_at_crema_ds_rate(crema: Path) -> None:
    for path in (crema / "VideoFlash").iterdir():
        truth = json.loads((crema / "truth" / "VideoFlash" / f"{path.stem}.json").read_text())
        assert path.read_bytes()[:3] == b"FLV"
        with av.open(str(path)) as container:
            video, audio = container.streams.video[0], container.streams.audio[0]
            assert video.codec_context.name == "h264" and video.codec_context.pix_fmt == "yuv420p"
            assert audio.codec_context.name == "aac" and audio.rate == 16_000 and audio.channels == 1
            times = [frame.time for frame in container.decode(video)]
        assert len(times) == truth["frames"]
        assert np.diff(times) == pytest.approx(1001 / 30000, abs=1.1e-3)  # FLV counts milliseconds
        reader = decord.VideoReader(str(path))
        assert len(reader) == truth["frames"]
        assert reader.get_avg_fps() == pytest.approx(29.97, abs=0.02)


def test_speech_lasts_as_long_as_the_frames(crema: Path) -> None:
    for path in (crema / "AudioWAV").iterdir():
        truth = json.loads((crema / "truth" / "VideoFlash" / f"{path.stem}.json").read_text())
        rate, speech = wavfile.read(path)
        assert rate == 16_000 and speech.dtype == np.int16 and speech.ndim == 1
        assert len(speech) == round(truth["frames"] * 1001 / 30000 * 16_000)


def test_voxceleb2_clip_has_picture_and_sound_in_step(voxceleb: Path) -> None:
    path = voxceleb / "dev" / "mp4" / "id00001" / "video001" / "00001.mp4"
    truth = json.loads((voxceleb / "truth" / path.relative_to(voxceleb)).with_suffix(".json").read_text())
    clip = make_clip(
        invent_speaker(0, 0), "ANG", "IEO", key=(0, 0, 0), size=64, fps=Fraction(25), seconds=SHORT
    )
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == 25
        assert container.streams.audio[0].rate == 16_000
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    with av.open(str(path)) as container:
        sound = list(container.decode(audio=0))
    assert len(pictures) == truth["frames"] == len(clip.frames)
    assert np.abs(np.stack(pictures).astype(int) - clip.frames).mean() < 4  # what was drawn
    heard = np.concatenate([frame.to_ndarray()[0] for frame in sound])
    assert abs(len(heard) - len(clip.speech)) <= 1024  # AAC counts in 1024 samples
    length = min(len(heard), len(clip.speech))
    lags = np.fft.irfft(
        np.fft.rfft(heard[:length], 2 * length)
        * np.conj(np.fft.rfft(clip.speech[:length] / 32768.0, 2 * length))
    )
    offset = int(np.argmax(lags)) + round((sound[0].time or 0.0) * 16_000)
    assert min(offset, 2 * length - offset) <= 2  # samples


def test_truth_sidecar(crema: Path) -> None:
    truth = json.loads((crema / "truth" / "VideoFlash" / "1002_IEO_DIS_XX.json").read_text())
    assert (truth["speaker"], truth["emotion"], truth["sentence"], truth["level"]) == (1, "DIS", "IEO", "XX")
    assert truth["sex"] == "Female" and truth["fps"] == [30000, 1001]
    for track in ("opening", "width", "blink", "head", "f0"):
        assert len(truth[track]) == truth["frames"]
    assert truth["phones"][0][0] == truth["phones"][-1][0] == "SIL"
    assert truth["phones"][-1][2] == pytest.approx(truth["seconds"], abs=1e-3)
    assert truth["seconds"] == pytest.approx(truth["frames"] * 1001 / 30000, abs=1e-4)
    assert max(truth["opening"]) > 0.4 and min(truth["opening"]) == pytest.approx(0, abs=0.02)
    assert np.abs([head[:2] for head in truth["head"]]).max() < 0.02


def test_the_picture_follows_the_truths_opening() -> None:
    clip = make_clip(
        invent_speaker(0, 1), "NEU", "MTI", key=(0, 1, 0), size=96, fps=Fraction(25), seconds=(1.8, 2.6)
    )
    # How far the mouth's pixels are from those of the closed mouth, frame by frame.
    mouth = clip.frames[:, 66:90, 33:63].astype(float)
    opening = np.array(clip.truth["opening"])
    closed = np.median(mouth[opening < 0.03], axis=0)
    change = np.abs(mouth - closed).mean(axis=(1, 2, 3))
    assert np.corrcoef(change, opening)[0, 1] > 0.8
    assert change[opening > 0.5].min() > 1.5 * change[opening < 0.03].max()


@pytest.mark.slow
def test_same_bytes_whatever_the_number_of_workers(crema: Path, tmp_path: Path) -> None:
    again = write_corpus(tmp_path / "two", "crema_d", 2, 3, size=64, seconds=SHORT, workers=2)
    assert contents(again) == contents(crema)


def test_a_clip_does_not_depend_on_the_others_but_on_the_seed(crema: Path, tmp_path: Path) -> None:
    fewer = contents(write_corpus(tmp_path / "fewer", "crema_d", 1, 1, size=64, seconds=SHORT))
    other = contents(write_corpus(tmp_path / "other", "crema_d", 1, 1, size=64, seconds=SHORT, seed=1))
    name = "AudioWAV/1001_IEO_ANG_XX.wav"
    assert fewer[name] == contents(crema)[name] != other[name]


def test_a_second_run_makes_only_what_is_missing(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def run(clips: int = 2) -> None:
        seen.clear()
        progress = lambda *n: seen.append(n)  # noqa: E731
        write_corpus(tmp_path, "crema_d", 1, clips, size=64, seconds=SHORT, progress=progress)

    run()
    assert seen == [(0, 2), (1, 2), (2, 2)]
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.flv")}
    run()
    assert seen == [(2, 2)]
    lost = tmp_path / "AudioWAV" / "1001_IEO_ANG_XX.wav"
    lost.unlink()
    run()
    assert seen == [(1, 2), (2, 2)] and lost.is_file()
    kept = tmp_path / "VideoFlash" / "1001_IEO_DIS_XX.flv"
    assert kept.stat().st_mtime_ns == before[kept]
    truth = tmp_path / "truth" / "VideoFlash" / "1001_IEO_ANG_XX.json"
    known = json.loads(truth.read_text())
    del known["settings"]["sentences"]  # as earlier versions wrote it
    truth.write_text(json.dumps(known))
    run(clips=3)
    assert seen == [(2, 3), (3, 3)]
    known["settings"]["version"] -= 1
    truth.write_text(json.dumps(known))
    run(clips=3)
    assert seen == [(2, 3), (3, 3)]
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"speakers": 0}, "speakers must be from 1"),
        ({"clips_per_speaker": 0}, "clips per speaker must be from 1 to 288"),
        ({"clips_per_speaker": 289}, "clips per speaker"),
        ({"layout": "lrs3"}, "crema_d, voxceleb2"),
        ({"size": 65}, "even number"),
        ({"size": 30}, "from 32 to 1024, not 30"),
        ({"size": 1026}, "from 32 to 1024, not 1026"),
        ({"fps": 0.0}, "fps must be"),
        ({"workers": 0}, "workers"),
        ({"seconds": (2.0, 1.0)}, "shorter first"),
    ],
)
def test_a_wrong_argument_is_named(tmp_path: Path, change: dict, complaint: str) -> None:
    arguments = {"layout": "crema_d", "speakers": 1, "clips_per_speaker": 1, **change}
    with pytest.raises(InputError, match=complaint):
        write_corpus(tmp_path, **arguments)
    assert not list(tmp_path.iterdir())


def test_a_folder_whose_name_is_like_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_corpus(Path("http:corpus"), "crema_d", 1, 1, size=32, seconds=SHORT)
    assert len(list(tmp_path.glob("http:corpus/VideoFlash/*.flv"))) == 1


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match=r"cannot write .*taken"):
        write_corpus(tmp_path / "taken", "voxceleb2", 1, 1, size=64, seconds=SHORT)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot write"):
        write_corpus(tmp_path / "corpus", "crema_d", 1, 1, size=64, seconds=SHORT)
    tmp_path.chmod(0o700)
