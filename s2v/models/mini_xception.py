"""mini-XCEPTION (Arriaga et al. 2017), trained on FER2013: a very small judge of emotion, seven classes.

Published for Keras (oarriaga/face_classification); `s2v.weights.load_mini_xception` reads its HDF5 file.
Happiness and surprise are reliable, anger and disgust weak.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from s2v.models.face_box import FaceBox, crop_face

INPUT_SIZE = 64

FER2013_CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The published outputs, in order."""

_GRAY = (0.299, 0.587, 0.114)
_BN_EPSILON = 1e-3
"""Keras' default, a hundred times PyTorch's."""


class _Separable(nn.Module):
    """3 x 3 per channel, then 1 x 1 across channels, then batch normalisation."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(before, before, 3, padding=1, groups=before, bias=False)
        self.pointwise = nn.Conv2d(before, after, 1, bias=False)
        self.bn = nn.BatchNorm2d(after, eps=_BN_EPSILON)

    def forward(self, features: Tensor) -> Tensor:
        return self.bn(self.pointwise(self.depthwise(features)))


class _Block(nn.Module):
    """Two separable convolutions and a pool beside a strided shortcut: (B, C, h, w) to half the size."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.separable1 = _Separable(before, after)
        self.separable2 = _Separable(after, after)
        self.shortcut = nn.Conv2d(before, after, 1, stride=2, bias=False)
        self.shortcut_bn = nn.BatchNorm2d(after, eps=_BN_EPSILON)

    def forward(self, features: Tensor) -> Tensor:
        inner = self.separable2(torch.relu(self.separable1(features)))
        pooled = functional.max_pool2d(_padded_like_keras(inner), kernel_size=3, stride=2)
        return pooled + self.shortcut_bn(self.shortcut(features))


def _padded_like_keras(features: Tensor) -> Tensor:
    """Padding "same" for a 3 x 3 pool of stride 2: bottom and right, and all around where a side is odd."""
    height, width = features.shape[-2:]
    return functional.pad(features, (width % 2, 1, height % 2, 1), value=-torch.inf)


class MiniXception(nn.Module):
    """Face crops (B, 3, h, w) of any size, RGB 0..255, to `logits` (B, num_classes) and `embedding` (B, 128).

    The embedding is what the last convolution sees, averaged over places.

    Args:
        face_box: the part of the picture, in fractions, that is made 64 x 64 and grey: a face from brows to
            chin, as in FER2013.
        num_classes: 7 as published.
    """

    embedding_dim = 128

    def __init__(self, face_box: FaceBox = (0.19, 0.2, 0.79, 0.8), num_classes: int = 7) -> None:
        super().__init__()
        self.face_box, self.num_classes = face_box, num_classes
        self.register_buffer("gray", torch.tensor(_GRAY).view(1, 3, 1, 1), persistent=False)
        self.conv1 = nn.Conv2d(1, 8, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(8, eps=_BN_EPSILON)
        self.conv2 = nn.Conv2d(8, 8, 3, bias=False)
        self.bn2 = nn.BatchNorm2d(8, eps=_BN_EPSILON)
        self.blocks = nn.Sequential(_Block(8, 16), _Block(16, 32), _Block(32, 64), _Block(64, 128))
        self.classifier = nn.Conv2d(128, num_classes, 3, padding=1)

    gray: Tensor

    def forward(self, face_rgb_255: Tensor) -> dict[str, Tensor]:
        face = crop_face(face_rgb_255, self.face_box, INPUT_SIZE)
        gray = (face * self.gray).sum(dim=1, keepdim=True) / 127.5 - 1
        features = torch.relu(self.bn1(self.conv1(gray)))
        features = self.blocks(torch.relu(self.bn2(self.conv2(features))))
        logits = self.classifier(features).mean(dim=(2, 3))
        return {"logits": logits, "embedding": features.mean(dim=(2, 3))}
