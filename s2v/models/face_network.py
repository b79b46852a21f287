"""One way to ask any face network: faces of any size in, embedding and logits out."""

from collections.abc import Callable, Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from s2v.errors import InputError
from s2v.models.pictures_in_parts import in_parts


def resize_faces(faces: Tensor, size: int) -> Tensor:
    """Antialiased bilinear resize.

    Args:
        faces: (B, 3, H, W), uint8 or float in 0..255.
        size: height and width wanted, pixels.

    Returns:
        (B, 3, size, size) float32 in 0..255.
    """
    faces = faces.float()
    if faces.shape[-2:] == (size, size):
        return faces
    return F.interpolate(faces, size=(size, size), mode="bilinear", antialias=True, align_corners=False)


class FaceNetwork(nn.Module):
    """Wraps VGGFace, SENet50, MobileFaceNet, MiniXception or a network of one's own behind the same two outputs.

    Args:
        network: gives a dict with `embedding` (VGG: `fc7`), `logits` (`fc8`) or both for faces (B, 3, H, W), float32
            RGB 0..255, which are resized to its `image_size`, if it has one. Those with `feature_maps` (faces at their
            own size to three conv maps) can stand behind D_ID.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        """RGB faces (B, 3, H, W), uint8 or float 0..255, any size.

        Returns:
            `embedding` (B, D): VGG's fc7, or the network's own embedding; `logits` (B, C) where it classifies.

        Raises:
            InputError: the network gives neither.
        """
        if faces.device.type != "cpu" or self.training or torch.is_grad_enabled():
            return self._outputs(faces)
        found = [self._outputs(part) for part in in_parts(faces)]
        return {name: torch.cat([one[name] for one in found]) for name in found[0]}

    def _outputs(self, faces: Tensor) -> dict[str, Tensor]:
        size = getattr(self.network, "image_size", None)
        outputs = self.network(faces.float() if size is None else resize_faces(faces, size))
        if not isinstance(outputs, Mapping) or not outputs.keys() & {"fc7", "fc8", "embedding", "logits"}:
            raise InputError(
                f"the face network {type(self.network).__name__} has to give a dict with embedding, logits or both, "
                f"not {sorted(outputs) if isinstance(outputs, Mapping) else type(outputs).__name__}"
            )
        found = {
            "embedding": outputs.get("fc7", outputs.get("embedding")),
            "logits": outputs.get("fc8", outputs.get("logits")),
        }
        return {name: value for name, value in found.items() if value is not None}

    def feature_maps(self, faces: Tensor) -> list[Tensor]:
        """conv5_3, conv4_3, conv3_3 (smallest first) of RGB faces (B, 3, H, W) 0..255 at their own size."""
        if not hasattr(self.network, "feature_maps"):
            raise InputError(
                f"D_ID compares VGG feature maps, but {type(self.network).__name__} has none: "
                "give a VGGFace network as feature_network"
            )
        maps = cast(Callable[[Tensor], list[Tensor]], self.network.feature_maps)(faces.float())
        return sorted(maps, key=lambda m: m.shape[-1])
