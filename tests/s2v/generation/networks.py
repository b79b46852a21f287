"""Small networks of the real classes, with weights that let every input show in the output."""

import torch

from s2v.models.cpc import CPC
from s2v.models.frame_decoder import Speech2VideoGenerator
from s2v.models.speaker_encoder import SpeakerEncoder
from s2v.models.speech_encoder import SpeechEncoder
from s2v.models.speech_representation import SpeechRepresentation
from s2v.models.students import StudentHead


def small_networks(
    seed: int = 0,
    rnn: str = "lstm",
    speaker_encoder: bool = False,
    pose_dim: int = 0,
    encoder: SpeechEncoder | None = None,
) -> tuple[SpeechRepresentation, Speech2VideoGenerator]:
    """Stage 1 and stage 2 in eval mode: 32 x 32 frames, 16 contexts, 24 identity and 8 emotion values."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        representation = SpeechRepresentation(
            encoder or CPC(channels=16, hidden=16, rnn=rnn),  # type: ignore[arg-type]
            StudentHead(in_dim=16, hidden=16, out_dim=24),
            StudentHead(in_dim=16, hidden=16, out_dim=8),
            SpeakerEncoder(hidden=20, out_dim=16, layers=2) if speaker_encoder else None,
        )
        generator = Speech2VideoGenerator(
            context_dim=16,
            identity_dim=24,
            emotion_dim=8,
            image_size=32,
            width=0.05,
            feature_width=0.05,
            pose_dim=pose_dim,
            num_speakers=2,
            identity_recall=0.5 if pose_dim else 0.0,
        )
        if generator.pose is not None:
            generator.pose.seen[:] = 1
            generator.pose.nus.normal_()
            generator.pose.codes.normal_(0, 3)
        for name, parameter in [*representation.named_parameters(), *generator.named_parameters()]:
            if "baseNet.weight" in name or "speaker_encoder" in name or "to_rgb" in name:
                parameter.data *= 3  # an untrained LSTM hardly moves
    return representation.eval(), generator.eval()


def speech_like(seconds: float, seed: int = 0) -> torch.Tensor:
    """Noise whose loudness and colour change over time: (N,) float in [-1, 1]."""
    generator = torch.Generator().manual_seed(seed)
    samples = round(seconds * 16_000)
    time = torch.arange(samples) / 16_000
    loudness = 0.05 + 0.2 * torch.sin(2 * torch.pi * 1.7 * time).abs()
    noise = torch.randn(samples, generator=generator)
    tone = torch.sin(2 * torch.pi * (150 + 100 * torch.sin(time)) * time)
    return ((0.3 * noise + tone) * loudness).clamp(-1, 1)
