"""What a user may put in the place of this package's classes."""

from collections.abc import Sequence

from torch import Tensor, nn

from s2v.models.discriminators import SyncDiscriminator
from s2v.models.frame_decoder import Speech2VideoGenerator
from s2v.modules.composer import ComposerModule


class OwnComposer(ComposerModule):
    """Nothing changed."""


class OwnGenerator(Speech2VideoGenerator):
    """Nothing changed."""


class OwnSync(SyncDiscriminator):
    """Nothing changed."""


class OwnFrameDiscriminator(nn.Module):
    """No subclass of this package's. Scores (N, 1, h, w)."""

    def __init__(self, patch: int = 4) -> None:
        super().__init__()
        self.score = nn.Conv2d(3, 1, patch, stride=patch)

    def forward(self, frames: Tensor) -> Tensor:
        return self.score(frames)


class OwnIdentityDiscriminator(nn.Module):
    """Likewise; looks at the smallest maps alone, which it takes as they are."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.score = nn.Conv2d(channels, 1, 1)

    def normalise_real(self, maps: Sequence[Tensor]) -> Sequence[Tensor]:
        return maps

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        return self.score(maps[0])


class OwnSyncDiscriminator(nn.Module):
    """Likewise, from the frames' brightness. Scores (B, T)."""

    def __init__(self, context_dim: int, gain: float = 1.0) -> None:
        super().__init__()
        self.context, self.gain = nn.Linear(context_dim, 1), gain

    def forward(self, contexts: Tensor, frames: Tensor) -> Tensor:
        return self.context(contexts).squeeze(-1) * frames.mean(dim=(2, 3, 4)) * self.gain
