"""The Inception of 2015 whose features FID is made of (Heusel et al. 2017), as github.com/mseitzer/pytorch-fid runs it.

It is torchvision's Inception 3 with another pooling in three kinds of block, as TensorFlow's graph has it: means
leave out the padding, and the last block takes the maximum. Keys: those of `pt_inception-2015-12-05-6726825d.pth`.
"""

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.inception import Inception3, InceptionA, InceptionC, InceptionE

SIDE = 299
CLASSES = 1008
"""Outputs of the published classifier, which FID does not use; torchvision's Inception has 1000."""


class FidInception(nn.Module):
    """Pictures (B, 3, H, W) RGB 0..255 to features (B, 2048): the last layer's means over places.

    Pictures of any size are first resized to 299 x 299, bilinear without anti-aliasing.
    """

    def __init__(self) -> None:
        super().__init__()
        network = Inception3(num_classes=CLASSES, aux_logits=False, init_weights=False)
        network.Mixed_5b = _BlockA(192, pool_features=32)
        network.Mixed_5c = _BlockA(256, pool_features=64)
        network.Mixed_5d = _BlockA(288, pool_features=64)
        for name, channels in {"6b": 128, "6c": 160, "6d": 160, "6e": 192}.items():
            setattr(network, f"Mixed_{name}", _BlockC(768, channels_7x7=channels))
        network.Mixed_7b = _BlockE(1280)
        network.Mixed_7c = _LastBlock(2048)
        network.fc = nn.Identity()
        self.network = network.eval()

    def forward(self, pictures: Tensor) -> Tensor:
        place = next(self.parameters())
        wide = F.interpolate(pictures.to(place) / 255, (SIDE, SIDE), mode="bilinear", align_corners=False)
        features: Tensor = self.network(2 * wide - 1)
        return features


# torchvision's blocks give their branches as a list, the pooled one last: that one is replaced.


class _BlockA(InceptionA):
    def _forward(self, x: Tensor) -> list[Tensor]:
        return [*super()._forward(x)[:-1], self.branch_pool(_mean_of_neighbours(x))]


class _BlockC(InceptionC):
    def _forward(self, x: Tensor) -> list[Tensor]:
        return [*super()._forward(x)[:-1], self.branch_pool(_mean_of_neighbours(x))]


class _BlockE(InceptionE):
    def _forward(self, x: Tensor) -> list[Tensor]:
        return [*super()._forward(x)[:-1], self.branch_pool(_mean_of_neighbours(x))]


class _LastBlock(InceptionE):
    def _forward(self, x: Tensor) -> list[Tensor]:
        return [*super()._forward(x)[:-1], self.branch_pool(F.max_pool2d(x, 3, stride=1, padding=1))]


def _mean_of_neighbours(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
