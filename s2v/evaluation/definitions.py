"""What each number of a report means, in a line; the report carries them."""

from collections.abc import Mapping
from typing import Any

from s2v.evaluation.clip_rows import BY_REAL_FRAMES

WITHOUT_PADDING = (
    "without padding: this judge's embeddings have length 1, and a zero would lie nearer than any "
    "unrelated speech"
)
"""Of a report whose lip-sync judge is such a network (`LipSpeechNetwork.unit_length`)."""

DEFINITIONS = {
    "averages": "frame -> clip -> data set; low and high: 95 % bootstrap, resampled by speaker, clips without one "
    "together",
    "by_speaker": "mean of the speakers' own means; clips without a speaker are left out",
    "ssim": "RGB, data range 255, Gaussian 11 x 11, sigma 1.5, border of 5 pixels left out",
    "psnr": "dB, RGB, data range 255, per frame; identical frames count 100",
    "psnr_clip": "dB of the whole clip's mean squared error, not the mean of the frames' dB",
    "_upper": "rows 0 to H/2 of the frame",
    "_mouth": "rows H/2 to H of the frame",
    "_128x96": "both clips first resized to 128 x 96 (height x width), bilinear with anti-aliasing",
    "_mp4": "of the generated frames after the MP4 that s2v export writes (H.264 and the invisible mark, "
    "whose swing counts as motion), decoded",
    "lpips": "version 0.1 on AlexNet, whole frames at their own size, frame by frame",
    "fid": "whole split against the real frames: Inception of 2015 as in pytorch-fid, 2,048 features, whole frames "
    "resized to 299 x 299 without anti-aliasing; a held picture counts once a clip; no interval; with fewer frames "
    "than 2,048 it is unstable, and compares with nothing that has another number of frames",
    "speaker_spread": "mean difference between speakers' mean pictures (32 x 32), generated / real; 0: one face",
    "sharpness": "gradient energy, generated / real; the mean of the clips' ratios",
    "motion": "mean absolute frame-to-frame difference, generated / real; the mean of the clips' ratios, in which a "
    "real clip that hardly moves weighs most",
    "blink_rate": "a second: the eye aspect ratio of 68 landmarks, median of 3 frames, falls below 0.65 of the clip's "
    "open eyes for at most 0.5 s; faces must be found in half of the frames and in 25",
    "blink_rate_difference": "generated - real, of the same clip; its mean is 0 where both blink as often",
    "mouth_...": "landmarks of the lips beside the real clip's at the same instants, lengths as shares of the distance "
    "between the eyes; faces must be found in half of the frames and in 25",
    "mouth_lmd": "landmark distance: mean distance of the mouth's 20 landmarks, each about the mouth's centre",
    "mouth_correlation": "of the opening over time, the distance between the lips' inner edges; 0 where the generated "
    "mouth never moves, none of a picture held still, or where the real mouth is still",
    "mouth_range": "the opening's standard deviation over time, generated / real; 0: the mouth never moves",
    "sync": "SyncNet as publicly evaluated: vshift 15, zero padding, 25 fps, 16 kHz",
    "sync_confidence": "elsewhere LSE-C: the distances' median over all shifts minus the least; higher is better",
    "sync_distance": "elsewhere LSE-D: the least distance over all shifts; lower is better",
    "sync_offset": "frames; negative: speech comes late; the mean tells of a lag that all clips share, not of how far "
    "clips are out of step: 5 frames early and 5 late make 0",
    "sync_offset_abs": "frames out of step, early or late: mean of each clip's offset without its sign",
    "sync_..._valid": "the same, shifts compared on windows that exist on both sides alone",
    "sync_within_one": "share of clips whose nearest shift is at most 1 frame, on real windows alone; like those below "
    "only of clips long enough for a shift of 5 frames",
    "sync_prefers_true": "share of clips whose best shift within 1 frame is nearer than every shift of "
    "5 to 15 frames, both ways, on real windows alone (unrelated speech: about 0.1)",
    "sync_prefers_true_pairs": "share of those shifts farther than no shift (unrelated speech: about 0.5)",
    "identity_rank1": "nearest by cosine among all test speakers' mean real embeddings, own clip left out where the "
    "speaker has others in the test; where not, the real clip is compared with itself and ground_truth is 1",
    "identity_rank5": "own speaker among the five nearest; by chance 5 / speakers; only with more speakers than that",
    "identity_rank10": "likewise among the ten nearest",
    "identity_cosine": "elsewhere CSIM or ID similarity: cosine with the same clip's real frames",
    "gender_agreement": "nearest by cosine among the OTHER test speakers' mean real embeddings is of the speaker's "
    "gender, as the corpus' table says it; only clips whose other speakers are labelled and of both genders",
    "emotion": "highest mean probability over frames; true: the clip's label, or for an unlabelled clip the "
    "judge's class on the real frames (column emotion_reference of the CSV says which)",
    "emotion_macro_f1": "mean F1 of the emotions that are true of some clip; others count only as misses of these",
    "ground_truth_shifted": "speech 10 frames ahead of the pictures; mouths: the real one 10 frames late",
    "ground_truth_swapped": "the speech of the nearest clip before in the list that says another sentence (the first "
    "clips: of the last such one); where sentences are not known, of the clip before",
    "still_frame": "the clip's first frame held; pictures compared from the second frame on",
    "another_clip": "first frame of the speaker's first clip in the list (for that one: of the second), held",
    "mean_image": "mean picture of the speaker's other clips, held",
    "another_speaker": "first frame of the next speaker's first clip, held",
    "adjusted": "what --trim and --resize did to a clip before pixels were compared: SSIM, PSNR, LPIPS, sharpness and "
    "motion need equal sizes and numbers of frames, all else is measured on the frames as they came",
    "scored": "clips on which every configured metric could be measured; the others say why in the CSV",
}


def definitions_of(meta: Mapping[str, Any]) -> dict[str, str]:
    """What a report's numbers mean, with the lip-sync judge that its meta tells of, and with metrics of one's own."""
    declared = meta.get("own_metrics") or {}
    found = DEFINITIONS | {name: about["definition"] for name, about in declared.items()}
    if is_without_padding((meta.get("judges") or {}).get("sync")):
        found["sync"] = f"SyncNet as publicly evaluated, vshift 15, 25 fps, 16 kHz, but {WITHOUT_PADDING}"
    return found


def emotion_note(meta: Mapping[str, Any]) -> str | None:
    """How many of a report's clips have an emotion by the judge alone; None where all have a label, or no judge."""
    unlabelled = (meta.get("emotion_references") or {}).get(BY_REAL_FRAMES)
    if not unlabelled:
        return None
    return (
        f"emotion: {unlabelled} of {meta.get('clips')} clips have no label that the judge knows and are held against "
        "what it sees in their real frames, by which ground_truth is always right"
    )


def is_without_padding(judge: Mapping[str, Any] | None) -> bool:
    """Does a judge's part of a report's meta say so? Reports from before it did were all padded with zeros."""
    return judge is not None and judge.get("padding") == "none"
