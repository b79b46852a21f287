"""LPIPS (Zhang et al. 2018, version 0.1) on AlexNet: how far two pictures are apart to a trained eye.

d(x, y) = sum over 5 layers l of the mean over places of w_l . (f_l(x) - f_l(y))^2, where f_l is the layer's ReLU
output, at every place scaled to length 1. Keys: `features.N` of torchvision's AlexNet, `linear.N` for w_l.
"""

import torch
from torch import Tensor, nn

from s2v.errors import InputError

CHANNELS = (64, 192, 384, 256, 256)
SMALLEST_SIDE = 31
"""Pixels; a smaller picture has nothing left after the second pooling."""

_NORM_EPSILON = 1e-8
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)


class LPIPS(nn.Module):
    """Pictures (B, 3, H, W) twice, RGB 0..255, to their distances (B,): 0 for equal ones, about 1 at most."""

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(),
        )
        self.linear = nn.ParameterList([nn.Parameter(torch.zeros(channels)) for channels in CHANNELS])
        self.register_buffer("shift", torch.tensor(_SHIFT).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(_SCALE).view(1, 3, 1, 1), persistent=False)

    def forward(self, pictures: Tensor, others: Tensor) -> Tensor:
        """(B,) distances.

        Raises:
            InputError: pictures below 31 pixels a side, or of different sizes.
        """
        if pictures.shape != others.shape:
            raise InputError(
                f"LPIPS compares pictures of one size, but got {tuple(pictures.shape)} and {tuple(others.shape)}"
            )
        return self.distance(self.unit_maps(pictures), self.unit_maps(others))

    def unit_maps(self, pictures: Tensor) -> list[Tensor]:
        """The five layers' f_l of pictures (B, 3, H, W) at length 1, (B, C_l, h_l, w_l).

        Raises:
            InputError: pictures below 31 pixels a side.
        """
        if min(pictures.shape[-2:]) < SMALLEST_SIDE:
            raise InputError(
                f"LPIPS compares pictures of at least {SMALLEST_SIDE} pixels a side, but got "
                f"{pictures.shape[-1]} x {pictures.shape[-2]}"
            )
        maps = ((pictures.to(self.shift) / 127.5 - 1) - self.shift) / self.scale
        found = []
        for layer in self.features:
            maps = layer(maps)
            if isinstance(layer, nn.ReLU):
                found.append(maps / (maps.square().sum(dim=1, keepdim=True) + _NORM_EPSILON).sqrt())
        return found

    def distance(self, mine: list[Tensor], theirs: list[Tensor]) -> Tensor:
        """(B,) distances of pictures whose `unit_maps` these are; one picture stands beside all of the others."""
        layers = zip(mine, theirs, self.linear, strict=True)
        apart = [torch.einsum("bchw,c->bhw", (a - b).square(), weights) for a, b, weights in layers]
        return torch.stack([places.mean(dim=(1, 2)) for places in apart]).sum(dim=0)
