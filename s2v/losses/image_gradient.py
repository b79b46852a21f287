"""Gradient loss against the blur that an L1 loss favours (paper, eq. 9)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from s2v.losses.least_squares import at_least_float32


def gaussian_kernel(sigma: float, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Normalised 1-d Gaussian, (2 * ceil(2 sigma) + 1,)."""
    radius = max(1, int(torch.ceil(torch.tensor(2 * sigma))))
    offsets = torch.arange(-radius, radius + 1, device=device, dtype=dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    return kernel / kernel.sum()


def smooth(images: Tensor, sigma: float) -> Tensor:
    """psi of eq. 9: separable Gaussian filter with replicated borders. (N, C, H, W) -> the same."""
    kernel = gaussian_kernel(sigma, images.device, images.dtype)
    channels, radius = images.shape[1], kernel.numel() // 2
    padded = F.pad(images, (radius, radius, radius, radius), mode="replicate")
    rows = F.conv2d(padded, kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
    return F.conv2d(rows, kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)


def sobel(images: Tensor) -> Tensor:
    """Horizontal and vertical Sobel derivatives per pixel (a unit ramp gives 1), inside pixels only.

    (N, C, H, W) -> (N, 2 C, H - 2, W - 2).
    """
    channels = images.shape[1]
    horizontal = images.new_tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8
    filters = torch.stack([horizontal, horizontal.T]).unsqueeze(1).repeat(channels, 1, 1, 1)
    return F.conv2d(images, filters, groups=channels)


def image_gradient_loss(fake: Tensor, real: Tensor, sigma: float = 1.0) -> Tensor:
    """Mean |grad psi(fake) - grad psi(real)| (eq. 9).

    Args:
        fake: (..., 3, H, W) generated frames.
        real: (..., 3, H, W) real frames.
        sigma: width of the smoothing filter psi in pixels; 0 leaves it out.
    """
    # both are linear filters: the difference is filtered once instead of each picture
    difference = (fake - real).flatten(0, -4)
    edges = sobel(smooth(difference, sigma) if sigma > 0 else difference)
    return at_least_float32(edges).abs().mean()
