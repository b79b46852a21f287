"""The generator of stage 2: one frame from its context, the speaker's identity and emotion (paper, section 2.2)."""

from typing import cast

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from s2v.face_regions import CONTEXT_REGIONS, ContextRegion
from s2v.models.identity_branch import IdentityBranch, initialise_decoder
from s2v.models.pose_code import PoseCode
from s2v.models.running_standardisation import RunningStandardisation
from s2v.models.width import scaled_channels


class JoinedUpsampling(nn.Module):
    """Fig. 2's circled plus: concatenation, transposed convolution, then two 1x1 convolutions (with a shortcut).

    A transposed convolution of a concatenation is the sum of one over each part. The identity part is the same
    for every frame of a clip, so it is convolved once a clip and added to each frame.

    Args:
        in_channels: of the frame's features.
        map_channels: of the identity map joined to them; 0 for none.
        out_channels: of the result.
    """

    def __init__(self, in_channels: int, map_channels: int, out_channels: int) -> None:
        super().__init__()
        self.from_frame = nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1, bias=False)
        self.from_identity = (
            nn.ConvTranspose2d(map_channels, out_channels, 4, stride=2, padding=1, bias=False)
            if map_channels
            else None
        )
        self.normalise = nn.Sequential(nn.BatchNorm2d(out_channels), nn.ReLU())
        self.mix = nn.Sequential(
            nn.Conv2d(out_channels, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )

    def forward(self, features: Tensor, identity: Tensor | None) -> Tensor:
        """features (B*T, C, h, w) and the convolved identity map (B, C', 2h, 2w) -> (B*T, C', 2h, 2w)."""
        x = self.from_frame(features)
        if identity is not None:
            frames_per_clip = x.shape[0] // identity.shape[0]
            per_clip = rearrange(x, "(b t) c h w -> b t c h w", t=frames_per_clip)
            x = rearrange(per_clip + identity.unsqueeze(1), "b t c h w -> (b t) c h w")
        x = self.normalise(x)
        return torch.relu(x + self.mix(x))


def cells(size: int, region: ContextRegion) -> Tensor:
    """Which of size x size cells of a face crop a region touches, (size, size) bool."""
    top, bottom, left, right = CONTEXT_REGIONS[region]
    first = torch.arange(size) / size
    rows, columns = (
        (first < end) & (first + 1 / size > start) for start, end in ((top, bottom), (left, right))
    )
    return rows.unsqueeze(1) & columns


class FrameDecoder(nn.Module):
    """F: context c_t and emotion mu to a frame, with the identity maps joined at three sizes.

    Args:
        context_dim: size of c_t.
        emotion_dim: size of mu, which joins c_t before the first transposed convolution.
        map_channels: channels of the identity maps, smallest map first.
        image_size: pixels, a multiple of 32.
        width: factor on the channels.
        subpixel: draw two by two pixels from each place of half the size (sub-pixel convolution, Shi et al. 2016)
            in place of a fifth transposed convolution.
        context_region: the part of the first map that contexts reach, as of a face crop; the paper's is `full`. What
            is far from it is drawn by identity and emotion: from a small corpus a decoder would learn by heart which
            sounds went with which pose. From `lower` contexts reach the eyes as well, from `jaw` on a map of 4 x 4
            the picture's lower half alone.
        seed_size: places along each side of the first map: S/32, the paper's 4 of 128 pixels, or S/16, where the
            first stage is left out. At 64 pixels the paper's layout has 2 x 2 places, from which contexts reach the
            whole picture; with 4 they keep to their part as at 128.
    """

    reached: Tensor | None

    def __init__(
        self,
        context_dim: int,
        emotion_dim: int,
        map_channels: list[int],
        image_size: int = 128,
        width: float = 1.0,
        subpixel: bool = False,
        context_region: ContextRegion = "full",
        seed_size: int | None = None,
    ) -> None:
        super().__init__()
        self.seed_size = image_size // 32 if seed_size is None else seed_size
        if self.seed_size not in (image_size // 32, image_size // 16):
            raise ValueError(
                f"seed_size must be {image_size // 32} or {image_size // 16}, a 32nd or a 16th of image_size "
                f"({image_size} pixels), got {seed_size}"
            )
        channels = [scaled_channels(c, width) for c in (512, 512, 256, 128, 64, 32)]
        joined = [0, *map_channels, 0]
        if self.seed_size == image_size // 16:
            del channels[0], joined[0]
        if subpixel:
            del channels[-1], joined[-1]
        # contexts are small and mu's logits large: without this the emotion drowns the sounds
        self.standardise = RunningStandardisation(context_dim + emotion_dim)
        self.seed = nn.Linear(context_dim + emotion_dim, channels[0] * self.seed_size**2)
        reached = None
        if context_region != "full":
            reached = torch.ones(channels[0], self.seed_size, self.seed_size, context_dim + emotion_dim)
            reached[..., :context_dim] = cells(self.seed_size, context_region).unsqueeze(-1).float()
            reached = reached.flatten(0, 2)
        self.register_buffer("reached", reached, persistent=False)
        self.stages = nn.ModuleList(
            JoinedUpsampling(before, maps, after)
            for before, maps, after in zip(channels[:-1], joined, channels[1:], strict=True)
        )
        self.subpixel = subpixel
        self.to_rgb = (
            nn.Sequential(nn.Conv2d(channels[-1], 12, 3, padding=1), nn.PixelShuffle(2), nn.Tanh())
            if subpixel
            else nn.Sequential(nn.Conv2d(channels[-1], 3, 3, padding=1), nn.Tanh())
        )

    @property
    def seed_weight(self) -> Tensor:
        """`seed`'s, without what contexts do not reach: (C * seed_size**2, context_dim + emotion_dim)."""
        return self.seed.weight if self.reached is None else self.seed.weight * self.reached

    def begin_simple(self) -> None:
        """Begin as a short stack that paints nearly grey: the 1x1 convolutions join in as they learn (zero-init
        residuals, Goyal et al. 2017). Half the steps to the same L1 than from unit-size noise.
        """
        for stage in self.stages:
            last = cast(JoinedUpsampling, stage).mix[-1]
            nn.init.zeros_(cast(nn.BatchNorm2d, last).weight)
        with torch.no_grad():
            last_conv = cast(nn.Conv2d, self.to_rgb[0])
            last_conv.weight.mul_(0.1)
            # four equal pixels (ICNR, Aitken et al. 2017), where unlike ones are a chequerboard
            if self.subpixel:
                for parameter in last_conv.parameters():
                    parameter.copy_(parameter[::4].repeat_interleave(4, dim=0))

    def identity_parts(self, identity_maps: list[Tensor]) -> list[Tensor | None]:
        """The half of each stage that depends on the identity alone: once a clip, never once a frame."""
        maps, parts = iter(identity_maps), []
        for stage in self.stages:
            convolve = cast(JoinedUpsampling, stage).from_identity
            parts.append(None if convolve is None else convolve(next(maps)))
        return parts

    def forward(self, contexts: Tensor, mu: Tensor, identity_parts: list[Tensor | None]) -> Tensor:
        """Decode frames.

        Args:
            contexts: (B, T, context_dim).
            mu: (B, T, emotion_dim).
            identity_parts: from `identity_parts`, batch B.

        Returns:
            (B, T, 3, S, S) in [-1, 1].
        """
        batch, frames = contexts.shape[:2]
        heard = self.standardise(torch.cat([contexts, mu], dim=-1).flatten(0, 1))
        x = nn.functional.linear(heard, self.seed_weight, self.seed.bias)
        x = rearrange(x, "n (c h w) -> n c h w", h=self.seed_size, w=self.seed_size)
        for stage, identity in zip(self.stages, identity_parts, strict=True):
            x = stage(x, identity)
        return rearrange(self.to_rgb(x), "(b t) c h w -> b t c h w", b=batch, t=frames)


class Speech2VideoGenerator(nn.Module):
    """The frame decoder with its identity branch: what the generator's optimizer trains.

    Args:
        context_dim: size of a CPC context.
        identity_dim: size of nu.
        emotion_dim: size of mu.
        image_size: pixels, a multiple of 32.
        width: factor on both parts' channels.
        feature_width: `width` of the face network whose maps D_ID compares with.
        subpixel: as `FrameDecoder`'s: faster, with 64 channels at half the size for 32 at the whole.
        context_region: as `FrameDecoder`'s.
        pose_dim: size of the `PoseCode`, which takes part beside mu; 0 for none, as in the paper.
        num_speakers: of the training set, which a pose code needs.
        seed_size: as `FrameDecoder`'s.
        identity_recall: as `PoseCode`'s; 0 for none, as in the paper.
    """

    def __init__(
        self,
        context_dim: int = 256,
        identity_dim: int = 4096,
        emotion_dim: int = 8,
        image_size: int = 128,
        width: float = 1.0,
        feature_width: float = 1.0,
        subpixel: bool = False,
        context_region: ContextRegion = "full",
        pose_dim: int = 0,
        num_speakers: int | None = None,
        seed_size: int | None = None,
        identity_recall: float = 0.0,
    ) -> None:
        super().__init__()
        if pose_dim and not num_speakers:
            raise ValueError("pose_dim needs num_speakers, the number of the training set's speakers")
        if identity_recall and not pose_dim:
            raise ValueError("identity_recall needs pose_dim above 0: pose codes remember the speakers")
        self.image_size = image_size
        self.identity_branch = IdentityBranch(identity_dim, image_size, width, feature_width)
        self.frame_decoder = FrameDecoder(
            context_dim,
            emotion_dim + pose_dim,
            self.identity_branch.map_channels,
            image_size,
            width,
            subpixel,
            context_region,
            seed_size,
        )
        self.pose = None
        if pose_dim and num_speakers:
            self.pose = PoseCode(identity_dim, num_speakers, pose_dim, identity_recall=identity_recall)
        self.apply(initialise_decoder)
        self.frame_decoder.begin_simple()

    def identity_maps(self, nu: Tensor) -> list[Tensor]:
        """(B, identity_dim) -> the three aligned maps, smallest first."""
        return self.identity_branch(nu)

    def identity_parts(self, nu: Tensor) -> list[Tensor | None]:
        """(B, identity_dim) -> what `decode` needs of an identity, to be computed once a clip."""
        return self.frame_decoder.identity_parts(self.identity_maps(nu))

    def with_pose(self, mu: Tensor, pose: Tensor | None) -> Tensor:
        """mu (B, T, E) and a code (B, T, P) or (B, 1, P) for each clip -> what the frame decoder takes as mu."""
        return mu if pose is None else torch.cat([mu, pose.to(mu).expand(-1, mu.shape[1], -1)], dim=-1)

    def recalled(self, nu: Tensor) -> tuple[Tensor, Tensor | None]:
        """nu (B, identity_dim) as speech says it -> nu and the code (B, 1, P) to generate with.

        Without a `PoseCode` nu as it is, and None.
        """
        if self.pose is None:
            return nu, None
        nu, code = self.pose.recalled(nu)
        return nu, code.unsqueeze(1)

    def decode(
        self, contexts: Tensor, identity_parts: list[Tensor | None], mu: Tensor, pose: Tensor | None = None
    ) -> Tensor:
        """contexts (B, T, D), parts of batch B, mu (B, T, E) or (B, E) -> frames (B, T, 3, S, S) in [-1, 1].

        With a `PoseCode` the code `pose`, (B, T, P) or (B, 1, P), as well.
        """
        if mu.dim() == 2:
            mu = repeat(mu, "b e -> b t e", t=contexts.shape[1])
        return self.frame_decoder(contexts, self.with_pose(mu, pose), identity_parts)

    def forward(
        self, contexts: Tensor, nu: Tensor, mu: Tensor, pose: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """C (B, T, D), nu (B, I), mu (B, E) -> frames (B, T, 3, S, S) in [-1, 1] and the identity maps.

        A `PoseCode`'s codes (B, T, P) are those of the frames in training; by default nu and code are `recalled`.
        """
        if pose is None:
            nu, pose = self.recalled(nu)
        maps = self.identity_maps(nu)
        return self.decode(contexts, self.frame_decoder.identity_parts(maps), mu, pose), maps
