"""What stage 1 makes of speech: contexts C for the frames, identity nu and emotion mu for the face (Fig. 2, left)."""

import torch
from einops import rearrange
from torch import Tensor, nn

from s2v.models.between_steps import between_steps
from s2v.models.speaker_encoder import SpeakerEncoder
from s2v.models.speech_encoder import SpeechEncoder
from s2v.models.students import StudentHead
from s2v.speech_time import LATENTS_PER_SECOND


def contexts_at(contexts: Tensor, times: Tensor, steps: int = 1) -> Tensor:
    """Read the contexts at given times by linear interpolation between CPC steps.

    At 25 fps four steps fall on a frame; no fixed stride is assumed. Times before the first or after the last step's
    centre take that step.

    Args:
        contexts: (B, L, D), step i centred on (i + 1/2) / 100 s.
        times: (B, T) seconds.
        steps: the mean of so many readings, one CPC step apart and around each time.

    Returns:
        (B, T, D).
    """
    if steps > 1:
        offsets = (torch.arange(steps, device=times.device) - (steps - 1) / 2) / LATENTS_PER_SECOND
        readings = contexts_at(contexts, (times.unsqueeze(2) + offsets).flatten(1))
        return rearrange(readings, "b (t steps) d -> b t steps d", steps=steps).mean(2)
    return between_steps(contexts, times * LATENTS_PER_SECOND - 0.5)


class SpeechRepresentation(nn.Module):
    """CPC and the two students that read its last context, omega.

    Args:
        cpc: the speech encoder, 16 kHz speech to 100 Hz contexts; CPC in the paper.
        identity_head: S_id, omega to nu; `out_dim` is the identity teacher's embedding size.
        emotion_head: S_emo, omega to mu; `out_dim` is 8 for FERplus logits.
        context_span: where clips are generated, C is the mean over the contexts of so many seconds around a frame's
            centre; 0 reads it at the centre, as the paper does and training always does. CPC's contexts tremble from
            step to step, and with them, trained on little, the face: 0.12 s halves the frames' restlessness and leaves
            lips and sharpness as they are.
        speaker_encoder: its vector is what S_id reads instead of omega, where there is little speech of each person
            and no CPC trained on much speech; the paper has none.

    Raises:
        ValueError: a head is not made for the size of what it reads, or context_span is negative.
    """

    def __init__(
        self,
        cpc: SpeechEncoder,
        identity_head: StudentHead,
        emotion_head: StudentHead,
        speaker_encoder: SpeakerEncoder | None = None,
        context_span: float = 0.0,
    ) -> None:
        super().__init__()
        heard = cpc.hidden if speaker_encoder is None else speaker_encoder.out_dim
        if identity_head.in_dim != heard:
            raise ValueError(
                f"the identity head reads {'omega' if speaker_encoder is None else 'the speaker encoder'}, {heard} "
                f"values: set identity_head.init_args.in_dim={heard} instead of {identity_head.in_dim}"
            )
        if emotion_head.in_dim != cpc.hidden:
            raise ValueError(
                f"the emotion head reads omega, {cpc.hidden} values: set emotion_head.init_args.in_dim={cpc.hidden} "
                f"instead of {emotion_head.in_dim}"
            )
        if context_span < 0:
            raise ValueError(f"context_span is a time in seconds, 0 or more, not {context_span}")
        self.cpc = cpc
        self.identity_head = identity_head
        self.emotion_head = emotion_head
        self.speaker_encoder = speaker_encoder
        self.context_steps = max(1, round(context_span * LATENTS_PER_SECOND))

    @property
    def context_reach(self) -> float:
        """CPC steps between a frame's centre and the farthest reading of its C, on either side."""
        return (self.context_steps - 1) / 2

    def contexts(self, speech: Tensor) -> Tensor:
        """(B, N) speech in [-1, 1] at 16 kHz -> (B, L, D) contexts at 100 Hz."""
        return self.cpc(speech)[1]

    def at_times(self, contexts: Tensor, times: Tensor) -> Tensor:
        """C to generate from: contexts (B, L, D) around the frames' centre times (B, T) in seconds -> (B, T, D)."""
        return contexts_at(contexts, times, self.context_steps)

    def voice(self, speech: Tensor) -> Tensor | None:
        """The speaker encoder's vectors of windows (B, N), (B, V); None without one."""
        return None if self.speaker_encoder is None else self.speaker_encoder(speech)

    def students(self, omega: Tensor, voice: Tensor | None) -> tuple[Tensor, Tensor]:
        """(B, D) contexts, and `voice` of the windows they lie in -> nu (B, identity_dim), mu (B, emotion_dim)."""
        return self.identity_head(omega if voice is None else voice), self.emotion_head(omega)

    def person(self, speech: Tensor) -> tuple[Tensor, Tensor]:
        """Windows (B, N) -> nu (B, identity_dim), mu (B, emotion_dim)."""
        return self.students(self.cpc.omega(self.contexts(speech)), self.voice(speech))

    def forward(
        self, speech: Tensor, frame_times: Tensor, student_speech: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Everything the composer is trained on, from a window of speech: contexts at the frames' centres.

        Args:
            speech: (B, N).
            frame_times: (B, T) seconds from the first sample.
            student_speech: (B, N), what nu and mu are read from if it is other speech.

        Returns:
            C (B, T, D), nu (B, identity_dim), mu (B, emotion_dim).
        """
        contexts = self.contexts(speech)
        nu, mu = (
            self.students(self.cpc.omega(contexts), self.voice(speech))
            if student_speech is None
            else self.person(student_speech)
        )
        return contexts_at(contexts, frame_times), nu, mu
