"""SyncNet's score of a clip, as its public evaluation computes it: offset, distance, confidence.

Lip window v (frames v..v+4) is compared with the speech windows from 15 frames before to 15 frames after;
distances are averaged over windows for each shift. The smallest mean is the distance (LSE-D), its shift the
offset, and how far it lies below the median shift the confidence (LSE-C).

Beyond a clip's ends the public evaluation compares lips with zeros. Among embeddings of length 1 a zero lies at
distance 1 from all, and unrelated speech at 1.2 to 1.4: the curve would fall towards its ends whatever is said. Such
networks (`LipSpeechNetwork.unit_length`) are scored on windows that exist on both sides alone; see `sync_mode`.
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from s2v.batch import SAMPLES_PER_FRAME
from s2v.errors import InputError
from s2v.models.evaluation_mode import evaluated
from s2v.models.lip_speech_network import STEPS_PER_FRAME, WINDOW_FRAMES, WINDOW_STEPS, LipSpeechNetwork
from s2v.process.one_thread_each import Piece, Result, map_on_threads

if TYPE_CHECKING:
    from s2v.metrics.mean_sync_confidence import SyncConfidence as SyncConfidence

MIN_FRAMES = WINDOW_FRAMES + 1
"""Shortest clip that has a window: the public evaluation leaves out the last one."""

_DISTANCE_EPSILON = 1e-6

SyncMode = Literal["stock", "valid_only"]


class SyncScores(NamedTuple):
    """Scores of one clip."""

    offset: int
    """Video frames; negative = speech comes late (as the public evaluation's sign)."""
    distance: float
    """LSE-D, the smallest mean distance over shifts: lower is better."""
    confidence: float
    """LSE-C, the median minus the smallest: higher is better."""


def sync_mode(syncnet: LipSpeechNetwork) -> SyncMode:
    """How a network's clips are scored: as publicly evaluated, and without its zeros where embeddings have length 1."""
    return "valid_only" if syncnet.unit_length else "stock"


def scored_windows(num_frames: int, num_samples: int) -> int:
    """Windows the public evaluation scores in a clip of T frames and N samples; none when it is too short."""
    return max(0, min(num_frames, num_samples // SAMPLES_PER_FRAME) - WINDOW_FRAMES)


@torch.no_grad()
def sync_embeddings(
    syncnet: LipSpeechNetwork, frames: Tensor, speech: Tensor, chunk: int = 40
) -> tuple[Tensor, Tensor]:
    """Embeddings of all W windows of a clip, lips (W, D) and speech (W, D), in evaluation mode.

    Frames (T, 3, H, W) RGB uint8 at 25 fps and speech (N,) int16 at 16 kHz may lie anywhere; `chunk` windows
    at a time go to the network's device, so that memory does not grow with the clip; on a CPU each thread takes
    as many.
    """
    windows = _windows_of(frames, speech)
    place = next(syncnet.parameters())
    with evaluated(syncnet):
        (features,) = _in_pieces(
            lambda one: syncnet.speech_features(one.double()).to(place), [speech], speech.device
        )

        def embed(start: int, end: int) -> tuple[Tensor, Tensor]:
            seen = frames[start : end + WINDOW_FRAMES - 1].to(place.device)
            steps = slice(start * STEPS_PER_FRAME, (end - 1) * STEPS_PER_FRAME + WINDOW_STEPS)
            return syncnet.embed_frames(seen), syncnet.embed_speech_track(features[steps])

        pieces = _of_windows(embed, windows, chunk, place.device)
    lips, heard = zip(*pieces, strict=True)
    return torch.cat(lips), torch.cat(heard)


@torch.no_grad()
def lip_embeddings(syncnet: LipSpeechNetwork, frames: Tensor, speech: Tensor, chunk: int = 40) -> Tensor:
    """The lips (W, D) of `sync_embeddings` alone, for speech whose embeddings are there already."""
    windows = _windows_of(frames, speech)
    device = next(syncnet.parameters()).device

    def embed(start: int, end: int) -> Tensor:
        return syncnet.embed_frames(frames[start : end + WINDOW_FRAMES - 1].to(device))

    with evaluated(syncnet):
        return torch.cat(_of_windows(embed, windows, chunk, device))


def _windows_of(frames: Tensor, speech: Tensor) -> int:
    """At least one, of frames and speech as they must be."""
    if frames.dim() != 4 or frames.shape[1] != 3 or speech.dim() != 1:
        raise InputError(
            "SyncNet's score expects frames (T, 3, H, W) and speech (N,), "
            f"but got {tuple(frames.shape)} and {tuple(speech.shape)}"
        )
    if frames.dtype != torch.uint8:
        raise InputError(
            f"SyncNet's score expects uint8 frames from 0 to 255, but got {frames.dtype}: multiply those in "
            "[0, 1] by 255 and round"
        )
    if speech.is_floating_point():
        raise InputError(
            f"SyncNet's score expects int16 speech, but got {speech.dtype}: multiply by 32768, round and "
            "clip it first"
        )
    windows = scored_windows(len(frames), len(speech))
    if windows == 0:
        raise InputError(
            f"too short for SyncNet's score: {len(frames)} frames and {len(speech)} samples, "
            f"needs {MIN_FRAMES} frames and {MIN_FRAMES * SAMPLES_PER_FRAME} samples"
        )
    return windows


def _of_windows(
    embed: Callable[[int, int], Result], windows: int, chunk: int, device: torch.device
) -> list[Result]:
    """`embed` of windows start .. end - 1, at most `chunk` at a time."""
    size = _piece_size(windows, chunk, torch.get_num_threads() if device.type == "cpu" else 1)
    return _in_pieces(lambda start: embed(start, min(start + size, windows)), range(0, windows, size), device)


def _in_pieces(
    function: Callable[[Piece], Result], pieces: Sequence[Piece], device: torch.device
) -> list[Result]:
    return map_on_threads(function, pieces) if device.type == "cpu" else [function(piece) for piece in pieces]


def _piece_size(windows: int, most: int, threads: int) -> int:
    """At most `most` windows a piece, as many pieces a thread, all of one size: threads wait for the last of them."""
    rounds = math.ceil(windows / (most * threads))
    return math.ceil(windows / (rounds * threads))


def shift_distances(lips: Tensor, speech: Tensor, vshift: int = 15, mode: SyncMode = "stock") -> Tensor:
    """Mean distance of lip windows (W, D) to speech windows (W, D), for each shift: (2 vshift + 1,).

    Entry i compares lip window v with speech window v + i - vshift. Beyond the clip's ends the speech
    embedding is zero in the public evaluation ("stock"); "valid_only" averages over windows that exist on
    both sides, and gives nan for a shift that has none. Which of them a network asks for, `sync_mode` says.
    """
    windows = len(lips)
    padded = functional.pad(speech, (0, 0, vshift, vshift))
    index = torch.arange(windows, device=speech.device)

    def mean(shift: int) -> Tensor:
        difference = lips - padded[shift : shift + windows] + _DISTANCE_EPSILON
        distances = torch.linalg.vector_norm(difference, dim=-1)
        if mode == "valid_only":
            partner = index + shift - vshift
            distances = distances[(partner >= 0) & (partner < windows)]
        return distances.mean()

    return torch.stack(_in_pieces(mean, range(2 * vshift + 1), lips.device))


def sync_curve(
    syncnet: LipSpeechNetwork,
    frames: Tensor,
    speech: Tensor,
    vshift: int = 15,
    mode: SyncMode | None = None,
) -> Tensor:
    """Mean distance for each shift of the speech, -vshift..vshift frames: (2 vshift + 1,) on the CPU.

    Frames (T, 3, H, W) RGB uint8 at 25 fps; speech (N,) int16 at 16 kHz. A clip in step dips at index vshift.
    Without a `mode`, the network's own, `sync_mode`.
    """
    lips, heard = sync_embeddings(syncnet, frames, speech)
    return shift_distances(lips, heard, vshift, mode or sync_mode(syncnet)).cpu()


def scores_of_curve(curve: Tensor) -> SyncScores:
    """Offset, distance and confidence of a `sync_curve`; shifts without a window (nan) take no part."""
    vshift = len(curve) // 2
    smallest = int(torch.where(curve.isnan(), torch.inf, curve).argmin())
    distance = float(curve[smallest])
    return SyncScores(vshift - smallest, distance, float(curve.nanmedian()) - distance)


def sync_scores(
    syncnet: LipSpeechNetwork,
    frames: Tensor,
    speech: Tensor,
    vshift: int = 15,
    mode: SyncMode | None = None,
) -> SyncScores:
    """Scores of one clip: frames (T, 3, H, W) RGB uint8 at 25 fps, speech (N,) int16 at 16 kHz.

    `mode` as in `sync_curve`. Raises InputError when the clip has fewer than 6 frames or 3840 samples.
    """
    return scores_of_curve(sync_curve(syncnet, frames, speech, vshift, mode))


def __getattr__(name: str) -> Any:
    """`SyncConfidence`, the metric over many clips, for whoever asks: torchmetrics takes seconds to import."""
    if name == "SyncConfidence":
        from s2v.metrics.mean_sync_confidence import SyncConfidence

        return SyncConfidence
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
