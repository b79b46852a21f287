"""The separate identity branch: nu inflated to feature maps that look like a face network's (paper, section 2.2)."""

from itertools import pairwise

from einops import rearrange
from torch import Tensor, nn

from s2v.models.width import scaled_channels


def aligned_channels(feature_width: float) -> list[int]:
    """Channels of VGG-16's conv5_3, conv4_3 and conv3_3 (smallest map first) under a width factor."""
    return [scaled_channels(c, feature_width) for c in (512, 512, 256)]


def initialise_decoder(module: nn.Module) -> None:
    """Kaiming for (transposed) convolutions and linear layers: maps start at about unit size, as D_ID's real ones.

    Each output pixel of a 4 x 4 transposed convolution of stride 2 sees 2 x 2 inputs, not 4 x 4.
    """
    if isinstance(module, nn.ConvTranspose2d):
        taps = module.weight[0, 0].numel() / (module.stride[0] * module.stride[1])
        nn.init.normal_(module.weight, std=(2 / (module.in_channels * taps)) ** 0.5)
    elif isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")


class IdentityBranch(nn.Module):
    """Three transposed convolutions double nu's width and height; after each, a 1x1 convolution aligns the map.

    At 128 x 128 the maps are 8, 16 and 32 wide (from a 4 x 4 seed), the sizes VGG's conv5_3, conv4_3 and conv3_3
    have for a face of that size. D_ID compares the aligned maps with the VGG's, and the frame decoder concatenates
    them at their size. They end in a ReLU as the VGG's do: otherwise their signs alone would give them away.

    Args:
        identity_dim: size of nu.
        image_size: pixels, a multiple of 32.
        width: factor on this branch's own channels.
        feature_width: the face network's `width`, which sets the aligned maps' channels.
    """

    def __init__(
        self, identity_dim: int = 4096, image_size: int = 128, width: float = 1.0, feature_width: float = 1.0
    ) -> None:
        super().__init__()
        if image_size % 32:
            raise ValueError(f"image_size must be a multiple of 32, got {image_size}")
        self.seed_size = image_size // 32
        channels = [scaled_channels(c, width) for c in (512, 512, 512, 256)]
        self.map_channels = aligned_channels(feature_width)
        # nu's entries share an offset and have no fixed size: softmax, which trained them, sees neither
        self.standardise = nn.BatchNorm1d(identity_dim, affine=False)
        self.seed = nn.Linear(identity_dim, channels[0] * self.seed_size**2)
        self.inflate = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            )
            for before, after in pairwise(channels)
        )
        self.align = nn.ModuleList(
            nn.Sequential(nn.Conv2d(after, aligned, 1), nn.ReLU())
            for after, aligned in zip(channels[1:], self.map_channels, strict=True)
        )

    def forward(self, nu: Tensor) -> list[Tensor]:
        """Inflate nu, (B, identity_dim).

        Returns:
            Aligned maps, smallest first: (B, 512, S/16, S/16), (B, 512, S/8, S/8), (B, 256, S/4, S/4).
        """
        x = rearrange(
            self.seed(self.standardise(nu)), "b (c h w) -> b c h w", h=self.seed_size, w=self.seed_size
        )
        maps = []
        for inflate, align in zip(self.inflate, self.align, strict=True):
            x = inflate(x)
            maps.append(align(x))
        return maps
