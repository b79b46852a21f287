"""How far apart two pictures are in the maps of a network that looks at them."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def feature_distance(fake: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Mean over layers of |fake - real| / |real|, each summed over all of a layer's values.

    With a discriminator's maps this is feature matching (pix2pixHD, Wang et al. 2018, eq. 5), with a frozen face
    network's a perceptual loss (Johnson et al. 2016). There distances are sums or means, so that each layer counts as
    much as its activations are large; here each counts the same, whatever the network's scale.

    Args:
        fake: maps (N, C, h, w) of generated frames, one a layer.
        real: of the real frames, likewise; no gradient flows into them.

    Returns:
        A scalar: 0 for equal maps, 1 for fake maps of nothing.
    """
    distances = []
    for one, other in zip(fake, real, strict=True):
        other = other.detach().float()
        distances.append((one.float() - other).abs().mean() / other.abs().mean().clamp_min(1e-6))
    return torch.stack(distances).mean()


def distance_seen_by(
    feature_maps: Callable[[Tensor], Sequence[Tensor]],
    fake: Tensor,
    real: Tensor,
    seen: Sequence[Tensor] | None = None,
) -> Tensor:
    """`feature_distance` of what a network sees in frames (..., 3, H, W), generated and real.

    Args:
        feature_maps: of frames (N, 3, H, W).
        fake: generated frames.
        real: real ones.
        seen: the generated frames' maps, where they are there already.
    """
    with torch.no_grad():
        wanted = feature_maps(real.flatten(0, -4))
    return feature_distance(feature_maps(fake.flatten(0, -4)) if seen is None else seen, wanted)
