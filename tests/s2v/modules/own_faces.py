"""Face networks of one's own, fit and unfit."""

import torch
from torch import Tensor, nn


class Colours(nn.Module):
    """Mean colours of 16 x 16 pixels; logits by a layer that a file may hold."""

    image_size = 16

    def __init__(self) -> None:
        super().__init__()
        self.classes = nn.Linear(3, 2)

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        assert faces.shape[1:] == (3, 16, 16) and faces.dtype == torch.float32
        colours = faces.mean(dim=(2, 3))
        return {"embedding": colours, "logits": self.classes(colours)}

    def feature_maps(self, faces: Tensor) -> list[Tensor]:
        return [nn.functional.avg_pool2d(faces, side) for side in (2, 4, 8)]


class Silent(nn.Module):
    """Gives a tensor where a dict is expected."""

    def forward(self, faces: Tensor) -> Tensor:
        return faces


class Wide(Colours):
    """Can't be made without an argument."""

    def __init__(self, width: int) -> None:
        super().__init__()


class Nothing:
    """No network."""


class LogitsAlone(Colours):
    """Classifies, and embeds nothing."""

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        return {"logits": super().forward(faces)["logits"]}
