"""What of a frame its speech does not tell (the head's pose, gaze, hair, light): a code, seen in training alone."""

from collections.abc import Callable
from itertools import pairwise

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from s2v.face_regions import MOUTH_LOSS_BOX, cut_box

SIDE = 32
"""Pixels, of the pictures that codes are read from."""

MEMORIES = 16
"""Latest codes kept of a speaker."""


class PoseCode(nn.Module):
    """Takes from the generator what it would otherwise guess: not in the paper, for small corpora.

    Where a speaker is seen in a few clips, a generator that hears only speech either learns by heart which sounds
    went with which pose of the head, or draws all poses at once. Here a training step tells it the pose: an encoder
    reads a code from a real frame's difference to the speaker's mean frame. The mouth is left out, which speech has
    to tell, and the frame is another one of the clip, a moment away: cheeks and chin would tell of the mouth, and
    generation, too, holds one code while the mouth moves. Codes have unit variance over the batch (batch norm) and
    noise added, which limits what they can say.

    Generation sees no frame. It takes a code that a speaker was seen with: of the speaker whose mean nu is nearest,
    the one of the latest `MEMORIES` codes that lies closest to the others. So a face is drawn in one of the poses
    that training showed, and holds it. Someone not seen in training has the pose of the most similar voice.

    Nu can be recalled likewise. Where a speaker was heard for seconds, another sentence's nu lies outside what training
    showed, several times as far from the speaker's mean as the nus there, and its face comes out blurred or as a
    mixture. Moved part of the way to the mean, it comes out as the speaker's, or as that of the most similar voice.

    Args:
        identity_dim: size of nu.
        num_speakers: of the training set.
        dim: size of the code.
        noise: standard deviation of what is added to a code in training.
        identity_recall: share of the way to the nearest speaker's mean by which generation moves nu, in [0, 1].

    Raises:
        ValueError: identity_recall is not in [0, 1].
    """

    speaker_buffers = ("faces", "nus", "codes", "seen")
    """What is remembered of the training set's speakers."""

    faces: Tensor
    nus: Tensor
    codes: Tensor
    seen: Tensor

    def __init__(
        self,
        identity_dim: int,
        num_speakers: int,
        dim: int = 16,
        noise: float = 0.5,
        identity_recall: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 <= identity_recall <= 1:
            raise ValueError(f"identity_recall must lie in [0, 1], got {identity_recall}")
        self.dim, self.noise, self.identity_recall = dim, noise, identity_recall
        widths = (3, 32, 64, 128)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [
                nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.LeakyReLU(0.2),
            ]
        features = widths[-1] * (SIDE // 8) ** 2
        self.encoder = nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(features, dim), nn.BatchNorm1d(dim, affine=False)
        )
        self.register_buffer("faces", torch.zeros(num_speakers, 3, SIDE, SIDE))  # mean frames
        self.register_buffer("nus", torch.zeros(num_speakers, identity_dim))  # mean nus
        self.register_buffer("codes", torch.zeros(num_speakers, MEMORIES, dim))  # the latest, in a ring
        self.register_buffer("seen", torch.zeros(num_speakers, dtype=torch.long))  # clips

    def forward(
        self,
        frames: Tensor,
        nu: Tensor,
        speaker: Tensor,
        gather: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Read the codes of real frames, and remember them.

        Args:
            frames: (B, T, 3, S, S) in [-1, 1].
            nu: (B, identity_dim).
            speaker: (B,) int64 in [0, num_speakers).
            gather: (B, ...) of this process to (N, ...) of all of them, which then remember the same.

        Returns:
            (B, T, dim), with noise: for each frame the code of the one half of T away; its own where T is 1.
        """
        gather = gather or (lambda values: values)
        small = functional.interpolate(frames.flatten(0, 1).float(), (SIDE, SIDE), mode="area")
        cut_box(small, MOUTH_LOSS_BOX).zero_()
        small = rearrange(small, "(b t) c h w -> b t c h w", b=len(frames))
        who = functional.one_hot(gather(speaker), len(self.seen)).float()  # (N, speakers)
        with torch.no_grad():
            self._follow(self.faces, gather(small.mean(1)), who, 0.96)
            self._follow(self.nus, gather(nu.float()), who, 0.9)
        difference = (small - self.faces[speaker].unsqueeze(1)).flatten(0, 1)
        codes = rearrange(self.encoder(difference).float(), "(b t) d -> b t d", b=len(frames))
        with torch.no_grad():
            self._remember(gather(codes[:, 0]), gather(speaker), who)
        codes = codes.roll(max(1, codes.shape[1] // 2), dims=1)
        return codes + self.noise * torch.randn_like(codes)

    def _follow(self, means: Tensor, values: Tensor, who: Tensor, keep: float) -> None:
        """Each speaker's mean moves towards its values of this batch: (S, ...), (N, ...), one-hot (N, S).

        Until it rests on enough of them, it is the mean of all so far.
        """
        count = who.sum(0)
        with torch.autocast(values.device.type, enabled=False):  # what is remembered keeps its digits
            batch = (who.T @ values.flatten(1)) / count.clamp(min=1).unsqueeze(1)
        share = torch.maximum(1 - keep**count, count / (count + self.seen).clamp(min=1))
        means += (share.unsqueeze(1) * (batch - means.flatten(1))).view_as(means)

    def _remember(self, codes: Tensor, speaker: Tensor, who: Tensor) -> None:
        """Put codes (N, dim) into their speakers' rings."""
        before = ((who.cumsum(0) - 1) * who).sum(1).long()  # of the same speaker, earlier in the batch
        kept = before < MEMORIES  # two can't have one place
        place = (self.seen[speaker] + before) % MEMORIES
        self.codes[speaker[kept], place[kept]] = codes[kept]
        self.seen += who.sum(0).long()

    @torch.no_grad()
    def recalled(self, nu: Tensor) -> tuple[Tensor, Tensor]:
        """What the speaker with the nearest mean nu is remembered by, of those seen.

        Returns nu (B, identity_dim) moved towards that mean, and the code (B, dim) that the speaker is drawn with;
        before any training nu as it is, and zeros.
        """
        distance = torch.cdist(nu.float(), self.nus)
        nearest = distance.masked_fill(self.seen == 0, torch.inf).argmin(1)
        share = self.identity_recall * (self.seen[nearest] > 0).to(nu).unsqueeze(1)
        codes = self.codes[nearest]  # (B, MEMORIES, dim)
        missing = torch.arange(MEMORIES, device=nu.device) >= self.seen[nearest].unsqueeze(1)
        apart = torch.cdist(codes, codes).masked_fill(missing.unsqueeze(1), 0).sum(2)
        middle = apart.masked_fill(missing, torch.inf).argmin(1)
        code = codes[torch.arange(len(nu), device=nu.device), middle]
        return nu + share * (self.nus[nearest].to(nu) - nu), code.to(nu)
