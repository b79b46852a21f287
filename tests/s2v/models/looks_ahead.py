"""A small speech encoder that looks ahead."""

import torch
from torch import Tensor

from s2v.models.windowed_speech_encoder import WindowedSpeechEncoder


class BothWays(WindowedSpeechEncoder):
    """The loudness of each piece of speech, read forwards and backwards."""

    def __init__(self, hidden: int = 16, span: float = 0.4) -> None:
        super().__init__(hidden, span)
        self.summary = torch.nn.GRU(1, hidden // 2, batch_first=True, bidirectional=True)

    def hear(self, speech: Tensor) -> Tensor:
        loudness = speech.unflatten(1, (-1, 160)).square().mean(dim=2, keepdim=True).sqrt()
        return self.summary(loudness)[0]
