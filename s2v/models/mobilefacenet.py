"""MobileFaceNet (Chen et al. 2018), trained with ArcFace: a small judge, or teacher, of identity.

State-dict keys are those of foamliu/MobileFaceNet: `conv1`, `dw_conv`, `features.0-14`, `conv2`, `gdconv`,
`conv3`, `bn`.
"""

import torch
from torch import Tensor, nn

from s2v.models.face_alignment import ALIGNED_SIZE, align_face, find_landmarks, open_landmark_detector
from s2v.models.face_box import FaceBox, crop_face

INPUT_SIZE = ALIGNED_SIZE

DEFAULT_FACE_BOX: FaceBox = (0.135, 0.175, 0.785, 0.825)
"""The best fixed box for faces cropped as VoxCeleb2's.

Over 188 frames of 36 real speakers, the cosine of two clips of one speaker averages 0.71, of two speakers
0.07, and the nearest other clip is the same speaker's in 97 %; aligned by landmarks, 0.86, 0.04 and 100 %.
"""

_RGB_MEAN = (0.485, 0.456, 0.406)
_RGB_SPREAD = (0.229, 0.224, 0.225)

_GROUPS = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))
"""(expansion, channels, blocks, stride of the first block) of the inverted residuals."""


def _conv_bn_relu6(before: int, after: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after), nn.ReLU6(inplace=True))


class _DepthwiseSeparable(nn.Module):
    """A 3 x 3 convolution per channel, then a 1 x 1 across them: (B, C, h, w) to the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, features: Tensor) -> Tensor:
        features = torch.relu(self.bn1(self.depthwise(features)))
        return torch.relu(self.bn2(self.pointwise(features)))


class _InvertedResidual(nn.Module):
    """1 x 1 out to `expansion` times the channels, 3 x 3 per channel, 1 x 1 back without activation."""

    def __init__(self, before: int, after: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = before * expansion
        self.has_shortcut = stride == 1 and before == after
        self.conv = nn.Sequential(
            _conv_bn_relu6(before, inner, kernel=1),
            _conv_bn_relu6(inner, inner, kernel=3, stride=stride, groups=inner),
            nn.Conv2d(inner, after, 1, bias=False),
            nn.BatchNorm2d(after),
        )

    def forward(self, features: Tensor) -> Tensor:
        inner = self.conv(features)
        return features + inner if self.has_shortcut else inner


class _GlobalDepthwise(nn.Module):
    """A learned weight for every place of every channel, in place of average pooling: 7 x 7 to 1 x 1."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, size, groups=channels, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, features: Tensor) -> Tensor:
        return self.bn(self.depthwise(features))


class MobileFaceNet(nn.Module):
    """Face crops (B, 3, h, w) of any size, RGB 0..255, to `embedding` (B, 128), to be compared by cosine.

    The network was trained on faces aligned by landmarks. With a `detector` each picture is aligned so
    (on the CPU, about 10 ms a picture; no gradient flows to where the landmarks are); without one, or where
    it finds no face, `face_box` is cut out.

    Args:
        face_box: the part of the picture, in fractions of its height and width, that is made 112 x 112.
        detector: path of YuNet's .onnx file, or "" to use the box alone.
    """

    embedding_dim = 128
    rgb_mean: Tensor
    rgb_spread: Tensor

    def __init__(self, face_box: FaceBox = DEFAULT_FACE_BOX, detector: str = "") -> None:
        super().__init__()
        self.face_box = face_box
        self.detector = detector
        if detector:
            open_landmark_detector(detector)
        self.register_buffer("rgb_mean", torch.tensor(_RGB_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("rgb_spread", torch.tensor(_RGB_SPREAD).view(1, 3, 1, 1), persistent=False)
        self.conv1 = _conv_bn_relu6(3, 64, kernel=3, stride=2)
        self.dw_conv = _DepthwiseSeparable(64)
        blocks: list[nn.Module] = []
        before = 64
        for expansion, after, depth, first_stride in _GROUPS:
            for index in range(depth):
                stride = first_stride if index == 0 else 1
                blocks.append(_InvertedResidual(before, after, stride, expansion))
                before = after
        self.features = nn.Sequential(*blocks)
        self.conv2 = _conv_bn_relu6(before, 512, kernel=1)
        self.gdconv = _GlobalDepthwise(512, size=INPUT_SIZE // 16)
        self.conv3 = nn.Conv2d(512, self.embedding_dim, 1)
        self.bn = nn.BatchNorm2d(self.embedding_dim)

    def _faces(self, pictures: Tensor) -> Tensor:
        """Pictures (B, 3, h, w) to faces (B, 3, 112, 112), aligned where there is a detector and a face."""
        if not self.detector:
            return crop_face(pictures, self.face_box, INPUT_SIZE)
        detector = open_landmark_detector(self.detector)
        faces = []
        for picture in pictures:
            landmarks = find_landmarks(picture, detector)
            if landmarks is None:
                faces.append(crop_face(picture.unsqueeze(0), self.face_box, INPUT_SIZE)[0])
            else:
                faces.append(align_face(picture, landmarks))
        return torch.stack(faces)

    def forward(self, face_rgb_255: Tensor) -> dict[str, Tensor]:
        face = (self._faces(face_rgb_255) / 255 - self.rgb_mean) / self.rgb_spread
        features = self.features(self.dw_conv(self.conv1(face)))
        embedding = self.bn(self.conv3(self.gdconv(self.conv2(features))))
        return {"embedding": embedding.flatten(1)}
