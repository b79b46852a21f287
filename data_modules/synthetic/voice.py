"""Source-filter speech (Fant 1960; Klatt 1980): glottal pulses and noise through time-varying formants."""

import numpy as np
from scipy.fft import irfft, rfft
from scipy.signal import resample_poly

from data_modules.synthetic.emotion import Emotion
from data_modules.synthetic.score import Score
from data_modules.synthetic.speaker import Voice
from s2v.batch import SAMPLE_RATE

HOP = 80  # 5 ms
WINDOW = 2 * HOP
TRANSFORM = 512
OVERSAMPLING = 4
UPPER_FORMANTS = (3500.0, 4500.0, 5500.0, 6500.0)  # Hz, hardly move
BANDWIDTHS = (90.0, 90.0, 130.0, 220.0, 320.0, 450.0, 600.0)  # Hz
SOURCE_TILT = 4.0  # dB per octave above 500 Hz: Rosenberg's pulse alone sounds dull
NEUTRAL_LEVEL = -23.0  # dBFS, of voiced speech


def pitch_track(
    score: Score, voice: Voice, emotion: Emotion, rng: np.random.Generator, count: int
) -> np.ndarray:
    """(count,) f0 in Hz, one value a sample."""
    times = (np.arange(count) + 0.5) / SAMPLE_RATE
    semitones = emotion.pitch + rng.normal(0, 0.3) + emotion.pitch_range * score.at(score.semitones, times)
    semitones += emotion.tremor * np.sin(2 * np.pi * 6.0 * times + rng.uniform(0, 6))
    sway = np.sin(2 * np.pi * rng.uniform(1.2, 2.2) * times + rng.uniform(0, 6))
    semitones += 0.25 * emotion.pitch_range * sway
    return voice.f0 * 2 ** (semitones / 12)


def glottal_source(
    f0: np.ndarray, jitter: float, tense: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Derivative of Rosenberg's glottal flow, and the glottis' opening, both (N,) for f0 (N,) in Hz.

    The flow rises for 42 % of the cycle and falls for 17 %, less when `tense` (0..1). It is made at four
    times the rate: its corners would fold back into the speech band otherwise.
    """
    fine = np.repeat(f0, OVERSAMPLING)
    cycles = np.cumsum(fine) / (SAMPLE_RATE * OVERSAMPLING)
    knots = np.arange(int(cycles[-1]) + 3)
    # Each cycle starts a little early or late: the phase is bent, never broken.
    cycles = np.interp(cycles, knots, knots + np.clip(rng.normal(0, jitter, len(knots)), -0.2, 0.2))
    strength = 1 + 3 * jitter * rng.normal(size=len(knots) + 2)
    index = np.clip(np.floor(cycles).astype(int), 0, len(knots))
    phase = cycles - np.floor(cycles)
    rise, fall = 0.42 - 0.08 * tense, 0.17 - 0.05 * tense
    falling = np.clip((phase - rise) / fall, 0, 1)
    flow = np.where(phase < rise, 0.5 * (1 - np.cos(np.pi * phase / rise)), np.cos(0.5 * np.pi * falling))
    flow = resample_poly(flow * strength[index], 1, OVERSAMPLING)[: len(f0)]
    return np.diff(flow, prepend=flow[0]), flow


def tract_response(formants: np.ndarray, tract: float, nasality: np.ndarray) -> np.ndarray:
    """Cascade of resonators, (frames, bins) complex, for formants (frames, 3) in Hz. Unity gain at 0 Hz."""
    s = np.complex64(2j * np.pi) * np.linspace(0, SAMPLE_RATE / 2, TRANSFORM // 2 + 1, dtype=np.float32)[None]
    upper = np.broadcast_to(np.array(UPPER_FORMANTS) * tract, (len(formants), len(UPPER_FORMANTS)))
    centres = np.concatenate([formants * tract, upper], axis=1).astype(np.float32)
    nasality = nasality.astype(np.float32)
    response = np.ones((len(formants), s.shape[1]), np.complex64)
    for number, bandwidth in enumerate(BANDWIDTHS):
        # A nasal's side branch damps everything above the murmur.
        half = np.pi * bandwidth * (1 + 1.5 * nasality[:, None] * (number > 0))
        omega = 2 * np.pi * centres[:, number, None]
        response *= (half**2 + omega**2) / ((s + half) ** 2 + omega**2)
    frequency = np.abs(s) / (2 * np.pi)
    return response / (1 + 1.5 * nasality[:, None] * (frequency / 900) / (1 + frequency / 900))


def _frames(signal: np.ndarray, count: int) -> np.ndarray:
    padded = np.pad(signal, (HOP, (count + 2) * HOP - len(signal)))
    pieces = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][:count]
    return pieces * np.hanning(WINDOW + 1)[:-1]


def _overlap_add(spectra: np.ndarray, count: int) -> np.ndarray:
    pieces = irfft(spectra, TRANSFORM, axis=1)
    result = np.zeros((len(pieces) * HOP) + TRANSFORM)
    parts = pieces.reshape(len(pieces), -1)
    for start in range(0, TRANSFORM, HOP):
        part = parts[:, start : start + HOP]
        lane = np.zeros((len(pieces), HOP))
        lane[:, : part.shape[1]] = part
        result[start : start + lane.size] += lane.reshape(-1)
    return result[HOP : HOP + count]


def speak(
    score: Score, voice: Voice, emotion: Emotion, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Speech int16 (N,) at 16 kHz, and the f0 (N,) in Hz it was made with."""
    count = round(score.seconds * SAMPLE_RATE)
    times = (np.arange(count) + 0.5) / SAMPLE_RATE
    f0 = pitch_track(score, voice, emotion, rng, count)
    breath = float(np.clip(voice.breath + emotion.breath, 0.0, 0.4))
    tilt = SOURCE_TILT + voice.tilt_db + emotion.tilt_db
    pulses, flow = glottal_source(f0, voice.jitter * emotion.jitter, float(np.clip(tilt / 5, 0, 1)), rng)
    pulses /= np.abs(pulses).max()

    # Accented syllables are louder, and the voice sinks towards the end.
    stress = score.at(score.semitones, times) - score.semitones.mean()
    voicing = score.at(score.voicing, times) * 10 ** (0.8 * stress / 20)
    noise = rng.normal(size=count)
    source = voicing * (pulses + 0.35 * breath * noise * (0.3 + flow))
    source += 0.10 * score.at(score.aspiration, times) * noise
    frication = 0.5 * score.at(score.frication, times) * rng.normal(size=count)

    frames = -(-count // HOP) + 1
    at = np.arange(frames) * HOP / SAMPLE_RATE
    formants = np.stack([score.at(score.formants[:, k], at) for k in range(3)], axis=1)
    frequency = np.linspace(0, SAMPLE_RATE / 2, TRANSFORM // 2 + 1)
    slope = 10 ** (tilt * np.log2(np.maximum(frequency, 500) / 500) / 20)
    tract = tract_response(formants, voice.tract, score.at(score.nasality, at)) * slope
    centre, spread = score.at(score.noise_hz, at)[:, None], score.at(score.noise_width_hz, at)[:, None]
    constriction = np.exp(-0.5 * ((frequency - centre * voice.tract**0.5) / spread) ** 2)
    spectra = rfft(_frames(source, frames), TRANSFORM, axis=1) * tract
    spectra += rfft(_frames(frication, frames), TRANSFORM, axis=1) * constriction
    speech = _overlap_add(spectra, count)

    loud = score.at(score.voicing, times) > 0.6
    level = NEUTRAL_LEVEL + emotion.loudness + rng.normal(0, 0.4)
    speech *= 10 ** (level / 20) / np.sqrt(np.mean(speech[loud] ** 2))
    speech += 10 ** (-68 / 20) * rng.normal(size=count)  # the room
    return np.round(32767 * 0.98 * np.tanh(speech / 0.98)).astype(np.int16), f0
