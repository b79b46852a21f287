"""The three auditors of stage 2: identity, frame and synchronisation (paper, section 2.2, eqs. 4 to 6)."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from s2v.models.identity_branch import aligned_channels
from s2v.models.width import scaled_channels


def downsampling(in_channels: int, out_channels: int, normalise: bool) -> nn.Sequential:
    """Halve height and width: convolution 4x4 of stride 2, LeakyReLU."""
    convolution = nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1)
    return nn.Sequential(spectral_norm(convolution) if normalise else convolution, nn.LeakyReLU(0.2))


class IdentityDiscriminator(nn.Module):
    """D_ID: are these the face network's maps of a real still face, or inflated from a voice? (eq. 4)

    The maps enter where their size fits, largest first. A face network's activations can be hundreds; each map is
    therefore divided by its layer's root mean square on real faces, tracked as a running mean in training.

    Args:
        feature_width: `width` of the face network.
        width: factor on this network's channels.
        normalise: spectral normalisation of each convolution but the last, which scores.
    """

    scales: Tensor
    scales_seen: Tensor

    def __init__(self, feature_width: float = 1.0, width: float = 1.0, normalise: bool = True) -> None:
        super().__init__()
        conv5, conv4, conv3 = aligned_channels(feature_width)
        channels = scaled_channels(256, width)
        self.from_conv3 = downsampling(conv3, channels, normalise)
        self.from_conv4 = downsampling(channels + conv4, channels, normalise)
        self.from_conv5 = downsampling(channels + conv5, channels, normalise)
        self.score = nn.Conv2d(channels, 1, 1)
        self.register_buffer("scales", torch.ones(3))
        self.register_buffer("scales_seen", torch.zeros(()))

    def normalise_real(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Real maps (B, C, h, w), smallest first, divided by their layers' scale; training updates the scales."""
        if self.training:
            with torch.no_grad():
                rms = torch.stack([m.float().square().mean().sqrt() for m in maps]).clamp_min(1e-6)
                self.scales_seen += 1
                self.scales += (rms - self.scales) / self.scales_seen.clamp(max=100)
        return [m / scale for m, scale in zip(maps, self.scales, strict=True)]

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps of conv5_3, conv4_3, conv3_3 (smallest first), scaled to about unit size -> scores (B, 1, h, w)."""
        conv5, conv4, conv3 = maps
        x = self.from_conv3(conv3)
        x = self.from_conv4(torch.cat([x, conv4], dim=1))
        x = self.from_conv5(torch.cat([x, conv5], dim=1))
        return self.score(x)


class FrameDiscriminator(nn.Module):
    """D_fr: is this picture a real video frame? (eq. 5) Scores overlapping patches.

    Args:
        width: factor on the channels.
        layers: halvings of the picture, 1 to 6; 4 sees patches of 46 pixels.
        normalise: spectral normalisation of each convolution but the last, which scores.

    Raises:
        ValueError: another number of layers.
    """

    compiled_methods = ("feature_maps",)

    def __init__(self, width: float = 1.0, layers: int = 4, normalise: bool = True) -> None:
        super().__init__()
        sizes = (64, 128, 256, 512, 512, 512)
        if not 1 <= layers <= len(sizes):
            raise ValueError(f"D_fr halves the picture 1 to {len(sizes)} times, not {layers}")
        channels = [3] + [scaled_channels(c, width) for c in sizes[:layers]]
        self.layers = nn.Sequential(
            *(downsampling(a, b, normalise) for a, b in pairwise(channels)),
            nn.Conv2d(channels[-1], 1, 1),
        )

    def forward(self, frames: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] -> scores (N, 1, H / 2^layers, W / 2^layers)."""
        return self.layers(frames)

    def feature_maps(self, frames: Tensor) -> list[Tensor]:
        """(N, 3, H, W) in [-1, 1] -> what each halving makes of it, the largest first, for feature matching."""
        maps = [frames]
        for halving in list(self.layers)[:-1]:
            maps.append(halving(maps[-1]))
        return maps[1:]

    def score_maps(self, maps: Sequence[Tensor]) -> Tensor:
        """`feature_maps` of frames -> their scores, as `forward` gives them."""
        return self.layers[-1](maps[-1])


class SyncDiscriminator(nn.Module):
    """D_sync: do this context and this frame belong to the same instant? (eq. 6)

    The picture and the context are embedded apart; the score reads both and their product, which is what tells
    whether they agree.

    Args:
        context_dim: size of a CPC context.
        image_size: pixels, a multiple of 32.
        width: factor on the channels.
        normalise: spectral normalisation of the convolutions.
    """

    compiled_methods = ("embed_frames", "score_pairs")

    def __init__(
        self, context_dim: int = 256, image_size: int = 128, width: float = 1.0, normalise: bool = True
    ) -> None:
        super().__init__()
        channels = [3] + [scaled_channels(c, width) for c in (64, 128, 256, 512, 512)]
        embedding = scaled_channels(512, width)
        self.picture = nn.Sequential(
            *(downsampling(a, b, normalise) for a, b in pairwise(channels)),
            nn.Flatten(),
            nn.Linear(channels[-1] * (image_size // 32) ** 2, embedding),
        )
        self.context = nn.Sequential(
            nn.Linear(context_dim, embedding), nn.LeakyReLU(0.2), nn.Linear(embedding, embedding)
        )
        self.score = nn.Sequential(
            nn.Linear(3 * embedding, embedding), nn.LeakyReLU(0.2), nn.Linear(embedding, 1)
        )

    def forward(self, contexts: Tensor, frames: Tensor) -> Tensor:
        """contexts (B, T, D) and frames (B, T, 3, H, W) in [-1, 1], paired -> scores (B, T)."""
        return self.score_pairs(contexts, self.embed_frames(frames))

    def embed_frames(self, frames: Tensor) -> Tensor:
        """(B, T, 3, H, W) in [-1, 1] -> (B, T, E), nearly all of the work: once for frames in several pairs."""
        picture = self.picture(rearrange(frames, "b t c h w -> (b t) c h w"))
        return rearrange(picture, "(b t) e -> b t e", b=frames.shape[0])

    def score_pairs(self, contexts: Tensor, embedded: Tensor) -> Tensor:
        """contexts (B, T, D) and embedded frames (B, T, E), paired -> scores (B, T)."""
        context = self.context(contexts)
        return self.score(torch.cat([embedded, context, embedded * context], dim=-1)).squeeze(-1)
