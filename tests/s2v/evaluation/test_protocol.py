"""The protocol on clips whose truth is known: every calibration row must say what it is."""

import math
import pickle

import pytest
import torch
from torch import Tensor, nn

from s2v.errors import InputError
from s2v.evaluation.clip_rows import (
    ANOTHER_CLIP,
    ANOTHER_SPEAKER,
    BY_LABEL,
    BY_REAL_FRAMES,
    EXPORTED,
    GROUND_TRUTH,
    MEAN_IMAGE,
    MP4,
    OTHER_FRAMES,
    OWN_FRAMES,
    SHIFTED,
    STILL,
    SWAPPED,
    ClipRow,
    TestClip,
)
from s2v.evaluation.held_pictures import HeldPictures
from s2v.evaluation.judges import FaceJudge, FidJudge, PerceptualJudge, SyncJudge
from s2v.evaluation.protocol import Protocol
from s2v.evaluation.summary import summarise
from s2v.metrics import regional_quality
from s2v.metrics.image_quality import PSNR_CEILING
from tests.s2v.evaluation.square_corpus import corpus, mean, of_system, run
from tests.s2v.evaluation.talking_squares import (
    LoudnessSyncNet,
    face_judge,
    loudness,
    square_clip,
    sync_judge,
    talking_square,
)

OURS = "speech2video"
ONE_WHERE_PERFECT = (
    "ssim",
    "ssim_mouth",
    "sharpness",
    "motion",
    "identity_rank1",
    "identity_cosine",
    "emotion_accuracy",
    "emotion_macro_f1",
    "sync_within_one",
    "sync_prefers_true",
)


@pytest.fixture(scope="module")
def perfect() -> list[ClipRow]:
    """A system whose frames are the real ones."""
    return run(corpus())


def test_a_row_for_every_clip_and_system(perfect: list[ClipRow]) -> None:
    clips = [clip.clip_id for clip in corpus()]
    assert [(row.clip_id, row.system) for row in perfect] == [
        (clip, system) for clip in clips for system in (OURS, *OWN_FRAMES)
    ]
    assert all(row.scored for row in perfect), [row.reasons for row in perfect if row.reasons]


def test_ground_truth_is_perfect_and_so_is_a_perfect_system(perfect: list[ClipRow]) -> None:
    for system in (OURS, GROUND_TRUTH):
        for metric in ONE_WHERE_PERFECT:
            assert mean(perfect, system, metric) == pytest.approx(1.0, abs=1e-5), (system, metric)
        assert mean(perfect, system, "psnr") == mean(perfect, system, "psnr_mouth") == PSNR_CEILING
    for mine, real in zip(of_system(perfect, OURS), of_system(perfect, GROUND_TRUTH), strict=True):
        assert mine.values == pytest.approx(real.values)


def test_shifted_and_swapped_speech_score_lower(perfect: list[ClipRow]) -> None:
    truth = mean(perfect, GROUND_TRUTH, "sync_confidence")
    for system in (SHIFTED, SWAPPED):
        assert mean(perfect, system, "sync_within_one") < 0.5
        # by chance: 3 shifts of 25 are near enough to none
        assert mean(perfect, system, "sync_prefers_true") <= (0 if system == SHIFTED else 2 / 6)
        assert mean(perfect, system, "ssim") == pytest.approx(1.0, abs=1e-5)
    assert {row.values["sync_offset"] for row in of_system(perfect, SHIFTED)} == {10.0}
    assert {row.values["sync_offset_abs"] for row in of_system(perfect, SHIFTED)} == {10.0}
    assert mean(perfect, SWAPPED, "sync_confidence") < 0.7 * truth
    assert mean(perfect, SWAPPED, "sync_distance") > mean(perfect, GROUND_TRUTH, "sync_distance") + 0.2


def test_no_row_of_a_judge_of_length_1_is_compared_with_zeros(
    perfect: list[ClipRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LoudnessSyncNet, "unit_length", True)
    clips = corpus()
    for clip in clips:
        clip.exported = clip.real
    rows = run(clips)
    assert {row.system for row in rows} == {OURS, *OWN_FRAMES}
    for row, padded in zip(rows, perfect, strict=True):
        for name in ("sync_confidence", "sync_distance", "sync_offset", "sync_offset_abs"):
            assert row.values[name] == row.values[f"{name}_valid"] == padded.values[f"{name}_valid"]
    for row in of_system(rows, OURS):
        assert row.values["sync_confidence_mp4"] == pytest.approx(row.values["sync_confidence"])
    for name in (OURS, *OWN_FRAMES):
        padded_mean = mean(perfect, name, "sync_confidence")
        assert mean(rows, name, "sync_confidence") != pytest.approx(padded_mean, rel=1e-3)


def test_values_of_an_exported_video_are_of_its_frames_beside_the_real_ones() -> None:
    """The generated frames are of another face and other lips, the export's are the real ones."""
    clips = corpus()[2:]
    for clip in clips:
        clip.exported = clip.real
        clip.generated = talking_square("ann", "anger", loudness(len(clip.real), seed=999))
    rows = run(clips)
    for ours, truth in zip(of_system(rows, OURS), of_system(rows, GROUND_TRUTH), strict=True):
        assert ours.values["identity_cosine"] < 0.5
        for name in EXPORTED:
            assert ours.values[f"{name}{MP4}"] == pytest.approx(truth.values[name], rel=1e-5), name


def test_still_frame_does_not_move_nor_talk(perfect: list[ClipRow]) -> None:
    assert mean(perfect, STILL, "motion") == 0
    assert mean(perfect, STILL, "identity_rank1") == 1
    assert mean(perfect, STILL, "sync_prefers_true") < 0.5
    assert mean(perfect, STILL, "psnr_mouth") < mean(perfect, STILL, "psnr") < 40


def test_still_frame_is_compared_from_the_second_frame_on() -> None:
    levels = torch.tensor([0.5] * 1 + [0.75] * 19)
    clip = square_clip("ann", "anger", seed=0, frames=20)
    clip.real = clip.generated = talking_square("ann", "anger", levels)
    still = of_system(run([clip], sync=None), STILL)[0]
    # brightness 140 against 190 on half of the mouth half: MSE 2500 / 2 there, 2500 / 4 over all
    assert still.values["psnr_mouth"] == pytest.approx(10 * math.log10(255**2 / 1250), abs=1e-3)
    assert still.values["psnr"] == pytest.approx(10 * math.log10(255**2 / 625), abs=1e-3)


def test_wrong_face_wrong_emotion_wrong_lips_are_seen() -> None:
    clips = corpus()
    for clip in clips:
        levels = loudness(len(clip.real), seed=999)
        clip.generated = talking_square("ann", "anger", levels)
    rows = run(clips)
    assert mean(rows, OURS, "identity_rank1") == pytest.approx(1 / 3)
    assert mean(rows, OURS, "emotion_accuracy") == 0.5
    # always "anger": F1 of anger 2 * 3 / (3 + 6), of happiness 0
    assert mean(rows, OURS, "emotion_macro_f1") == pytest.approx((2 / 3 + 0) / 2)
    # unrelated lips are nearest at a shift of at most one frame by chance only: 3 shifts of 25
    assert mean(rows, OURS, "sync_prefers_true") <= 1 / 6
    assert mean(rows, GROUND_TRUTH, "identity_rank1") == 1
    assert mean(rows, OURS, "psnr") < 20


def test_swapped_speech_is_the_clip_befores_and_the_first_takes_the_last() -> None:
    """Two pairs of twins: where the neighbour says the same, the swap can't be told from the truth."""
    clips = [square_clip("ann", "anger", seed) for seed in (1, 1, 2, 2)]
    for number, clip in enumerate(clips):
        clip.clip_id = str(number)
    swapped = of_system(run(clips), SWAPPED)
    assert [row.values["sync_within_one"] for row in swapped] == [0, 1, 0, 1]


def moods_of_sentences() -> list[TestClip]:
    """As CREMA-D sorts them; a person's takes of a sentence are in step, whatever the mood."""
    clips = []
    for number, (who, what) in enumerate((who, what) for who in ("ann", "ben") for what in ("DFA", "IEO")):
        for emotion in ("anger", "happiness"):
            clip = square_clip(who, emotion, seed=number)
            clip.clip_id, clip.sentence = f"{who}_{what}_{emotion}", what
            clips.append(clip)
    return clips


def test_swapped_speech_is_of_another_sentence() -> None:
    clips = moods_of_sentences()
    swapped = of_system(run(clips), SWAPPED)
    assert all(row.scored for row in swapped)
    assert [row.values["sync_within_one"] for row in swapped] == [0] * 8
    for clip in clips:
        clip.sentence = ""
    # every other row then hears the same words in step
    assert [row.values["sync_within_one"] for row in of_system(run(clips), SWAPPED)] == [0, 1] * 4


def test_what_was_measured_elsewhere_borrows_the_same_speech() -> None:
    here, elsewhere = (Protocol(sync=sync_judge()) for _ in range(2))
    for clip in moods_of_sentences():
        here.take(pickle.loads(pickle.dumps(elsewhere.measure(clip))))
    assert list(here.finish()) == list(run(moods_of_sentences(), identity=None, emotion=None))


def test_swap_with_a_shorter_neighbour() -> None:
    rows = run([square_clip("ann", "anger", 1, frames=40), square_clip("ben", "anger", 2, frames=60)])
    assert all(row.scored for row in rows)


def test_a_single_clip_has_no_one_to_swap_with() -> None:
    rows = run([square_clip("ann", "anger", 1)])
    assert [row.system for row in rows if not row.scored] == [SWAPPED]
    assert of_system(rows, SWAPPED)[0].reasons == ["no other clip to take speech from"]
    assert math.isnan(summarise(rows)[OURS]["ssim"].low)


def test_a_clip_without_frames_is_a_row_with_its_reason() -> None:
    clips = corpus()
    clips[2].generated = None
    clips[3].generated = clips[3].real.float()
    rows = run(clips)
    made_nothing, no_bytes = of_system(rows, OURS)[2:4]
    assert made_nothing.reasons == ["the system made no frames for this clip"]
    assert no_bytes.reasons == [
        "expected generated frames (T, 3, H, W) uint8, but got (50, 3, 32, 32) torch.float32"
    ]
    for failed in (made_nothing, no_bytes):
        assert failed.values == {} and not failed.measured
    summary = summarise(rows)
    assert (summary[OURS].scored, summary[OURS].total) == (4, 6)
    assert (summary[GROUND_TRUTH].scored, summary[GROUND_TRUTH].total) == (6, 6)
    assert (
        summary[OURS]["ssim"].n
        == summary[OURS]["emotion_macro_f1"].n
        == summary[OURS]["identity_rank1"].n
        == 4
    )


def test_too_short_for_syncnet_keeps_its_pictures() -> None:
    rows = run([*corpus(), square_clip("ann", "anger", 77, frames=5)])
    short = [row for row in rows if row.clip_id == "ann_anger_77"]
    assert all(len(row.reasons) == 1 and "too short" in row.reasons[0] for row in short)
    assert short[0].values["ssim"] == pytest.approx(1.0)
    assert "sync_confidence" not in short[0].values
    assert summarise(rows)[OURS]["sync_confidence"].n == 6


def test_too_short_to_shift_is_said() -> None:
    rows = run([square_clip("ann", "anger", 1, frames=14), square_clip("ben", "anger", 2, frames=14)])
    shifted = of_system(rows, SHIFTED)[0]
    assert shifted.reasons == ["too short for SyncNet once the speech is shifted"]
    assert of_system(rows, GROUND_TRUTH)[0].scored


def test_unlabelled_clip_is_judged_against_its_real_frames() -> None:
    clips = corpus()
    clips[0].emotion = ""
    clips[0].generated = talking_square("ann", "happiness", loudness(50, 0))
    clips[1].emotion = "boredom"  # a label that the judge does not know
    rows = of_system(run(clips), OURS)
    assert (rows[0].emotion_true, rows[0].emotion_predicted) == ("anger", "happiness")
    assert [row.emotion_reference for row in rows] == [BY_REAL_FRAMES] * 2 + [BY_LABEL] * 4
    assert [row.values["emotion_accuracy"] for row in rows] == [0, 1, 1, 1, 1, 1]


def test_labels_and_judge_may_spell_differently() -> None:
    clips = corpus()
    for clip in clips:
        clip.emotion = {"anger": "ANG", "happiness": "Happy"}[clip.emotion]
    rows = of_system(run(clips), OURS)
    assert {row.emotion_reference for row in rows} == {BY_LABEL}
    assert all(row.values["emotion_accuracy"] == 1 for row in rows)


def test_without_judges_only_pictures_are_measured() -> None:
    rows = run(corpus(), identity=None, emotion=None, sync=None)
    pictures = {*regional_quality.METRICS, "sharpness", "motion"}
    assert {metric for row in rows for metric in row.values} == pictures
    assert all(row.scored for row in rows)
    assert "emotion_macro_f1" not in summarise(rows)[OURS]


def test_a_system_may_not_be_called_like_a_calibration_row() -> None:
    with pytest.raises(InputError, match="calibration"):
        Protocol(system=STILL)


def test_all_judges_go_to_the_device() -> None:
    parts = {name: nn.Linear(1, 1) for name in ("identity", "emotion", "sync", "perceptual", "fid")}
    said = ("file", "0" * 64, "made for the test")
    Protocol(
        identity=FaceJudge(parts["identity"], [], *said),
        emotion=FaceJudge(parts["emotion"], [], *said),
        sync=SyncJudge(parts["sync"], *said),  # type: ignore[arg-type]
        perceptual=PerceptualJudge(parts["perceptual"], *said),  # type: ignore[arg-type]
        fid=FidJudge(parts["fid"], *said),  # type: ignore[arg-type]
    ).move_to("meta")
    assert {name: part.weight.device.type for name, part in parts.items()} == dict.fromkeys(parts, "meta")


def test_no_pictures_are_kept() -> None:
    """Memory must not grow with the clips' pixels: the largest thing kept is a voice's embeddings."""
    protocol = Protocol(identity=face_judge(), emotion=face_judge(), sync=sync_judge())
    for clip in corpus():
        protocol.add(clip)
    kept = [value for found in protocol._embeddings for value in found.values()]
    assert max(value.numel() for value in kept) == 3
    kept_voices = (protocol._borrowed._newest, protocol._borrowed._other)
    assert all(voice is not None and voice.speech.shape == (45, 5) for voice in kept_voices)
    assert [lips.shape for _, (_, lips) in protocol._borrowed._waiting] == [(45, 5)]


def with_held(clips: list[TestClip]) -> Protocol:
    held = HeldPictures()
    for clip in clips:
        held.add(clip.clip_id, clip.speaker, clip.real)
    protocol = Protocol(identity=face_judge(), emotion=face_judge(), sync=sync_judge())
    protocol.hold(held)
    for clip in clips:
        protocol.add(clip)
    return protocol


def test_frames_of_other_clips_are_rows() -> None:
    clips = corpus()
    rows = with_held(clips).finish()
    assert [row.system for row in rows[:8]] == [OURS, *OWN_FRAMES, *OTHER_FRAMES]
    assert all(row.scored for row in rows), [row.reasons for row in rows if row.reasons]
    for system in OTHER_FRAMES:
        assert mean(rows, system, "motion") == 0
        assert mean(rows, system, "sync_prefers_true") < 0.5
        assert mean(rows, system, "ssim") < 0.99
    assert mean(rows, ANOTHER_CLIP, "identity_rank1") == mean(rows, MEAN_IMAGE, "identity_rank1") == 1
    assert mean(rows, ANOTHER_SPEAKER, "identity_rank1") == 0
    # each speaker's two clips have one emotion each
    assert mean(rows, ANOTHER_CLIP, "emotion_accuracy") == 0
    assert mean(rows, ANOTHER_SPEAKER, "psnr") < mean(rows, ANOTHER_CLIP, "psnr")


def test_values_of_a_held_picture_are_those_of_a_clip_of_it() -> None:
    clips = corpus()
    row = of_system(with_held(clips).finish(), ANOTHER_CLIP)[0]
    expected = regional_quality.regional_quality(clips[1].real[:1].expand(50, -1, -1, -1), clips[0].real)
    assert {name: row.values[name] for name in regional_quality.METRICS} == pytest.approx(expected)


def test_a_speaker_with_one_clip_has_no_other() -> None:
    clips = [square_clip("ann", "anger", 1), square_clip("ben", "anger", 2), square_clip("ann", "anger", 3)]
    clips[2].speaker = ""
    rows = with_held(clips).finish()
    reasons = {(row.clip_id, row.system): row.reasons for row in rows if row.system in OTHER_FRAMES}
    assert (
        reasons["ann_anger_1", ANOTHER_CLIP]
        == reasons["ben_anger_2", MEAN_IMAGE]
        == ["no other clip of this speaker"]
    )
    assert reasons["ann_anger_1", ANOTHER_SPEAKER] == reasons["ben_anger_2", ANOTHER_SPEAKER] == []
    assert reasons["ann_anger_3", ANOTHER_SPEAKER] == ["the clip's speaker is not known"]
    assert all(row.scored for row in rows if row.system not in OTHER_FRAMES)


def test_where_no_speaker_is_known_there_are_no_such_rows() -> None:
    clip = square_clip("ann", "anger", 1)
    clip.speaker = ""
    assert {row.system for row in with_held([clip]).finish()} == {OURS, *OWN_FRAMES}


@pytest.mark.parametrize("frames", [44, 50, 53])
def test_the_real_videos_speech_is_embedded_once(frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours says the same words: the same values as if its own sound track, with these very samples, had been heard."""
    heard: list[int] = []
    embed = LoudnessSyncNet.embed_speech_track

    def counted(network: LoudnessSyncNet, mfcc: Tensor) -> Tensor:
        windows = embed(network, mfcc)
        heard.append(len(windows))
        return windows

    monkeypatch.setattr(LoudnessSyncNet, "embed_speech_track", counted)

    def ours(own_sound: bool) -> dict[str, float]:
        clip = square_clip("ann", "anger", seed=7)
        clip.speech = torch.cat([clip.speech, clip.speech[: 10 * 640]])
        clip.generated = torch.cat([clip.real, clip.real])[:frames]
        clip.generated_speech = clip.speech if own_sound else None
        heard.clear()
        return of_system(run([clip]), OURS)[0].values

    once = ours(own_sound=False)
    assert sum(heard) == (45 if frames <= 50 else 45 + 48)  # a longer video hears more
    assert once == pytest.approx(ours(own_sound=True), nan_ok=True)
    assert sum(heard) == 45 + frames - 5
