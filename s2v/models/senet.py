"""SENet-50 (Hu et al. 2018) as trained on FERplus and on VGGFace2: teacher of emotion.

State-dict keys are those of "senet50_ferplus_dag": `conv1_7x7_s2`, `convS_B_{1x1_reduce, 3x3, 1x1_increase,
1x1_proj}` with `_bn`, `convS_B_1x1_{down, up}` and `classifier`.
"""

import torch
from torch import Tensor, nn

from s2v.errors import InputError
from s2v.models.width import scaled_channels

RGB_MEAN = (131.0912, 103.8827, 91.4953)
"""Mean colour of VGGFace2's faces, on 0..255, subtracted from every input."""

FERPLUS_CLASSES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
"""The published classifier's outputs, in order."""

_REDUCTION = 16


class SENet50(nn.Module):
    """Faces (B, 3, S, S), RGB 0..255, to `logits` (B, num_classes) and `embedding` (B, 2048 * width).

    Args:
        image_size: S, 224 as published. Nothing depends on it but the check of the input's size.
        width: multiplier of every layer's channels; 1 as published (26.06 M parameters with 8 classes).
        blocks: bottleneck blocks in each of the four stages.
        num_classes: 8 for FERplus, 8631 for VGGFace2.
        bgr: the weights expect blue first (those trained on VGGFace2); callers hand in RGB either way.
    """

    rgb_mean: Tensor

    def __init__(
        self,
        image_size: int = 224,
        width: float = 1.0,
        blocks: tuple[int, int, int, int] = (3, 4, 6, 3),
        num_classes: int = 8,
        bgr: bool = False,
    ) -> None:
        super().__init__()
        self.image_size, self.num_classes = image_size, num_classes
        self.bgr = bgr
        self.embedding_dim = scaled_channels(2048, width)
        self.register_buffer("rgb_mean", torch.tensor(RGB_MEAN).view(1, 3, 1, 1), persistent=False)

        stem = scaled_channels(64, width)
        self._add_conv("conv1_7x7_s2", 3, stem, kernel=7, stride=2)
        # Published: the last, partial window of the 112 x 112 map is pooled too, without padding before it.
        self.stem_pool = nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)
        self._blocks: list[str] = []
        before = stem
        for stage, depth in enumerate(blocks, start=2):
            inner, after = (scaled_channels(c * 2 ** (stage - 2), width) for c in (64, 256))
            for index in range(1, depth + 1):
                name = f"conv{stage}_{index}"
                stride = 2 if index == 1 and stage > 2 else 1
                # The stride sits on the first 1 x 1 convolution, as in Caffe, not on the 3 x 3.
                self._add_conv(f"{name}_1x1_reduce", before, inner, kernel=1, stride=stride)
                self._add_conv(f"{name}_3x3", inner, inner, kernel=3)
                self._add_conv(f"{name}_1x1_increase", inner, after, kernel=1)
                squeezed = scaled_channels(after // _REDUCTION, 1.0)
                self.add_module(f"{name}_1x1_down", nn.Conv2d(after, squeezed, kernel_size=1))
                self.add_module(f"{name}_1x1_up", nn.Conv2d(squeezed, after, kernel_size=1))
                if index == 1:
                    self._add_conv(f"{name}_1x1_proj", before, after, kernel=1, stride=stride)
                self._blocks.append(name)
                before = after
        self.classifier = nn.Conv2d(before, num_classes, kernel_size=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def _add_conv(self, name: str, before: int, after: int, kernel: int, stride: int = 1) -> None:
        conv = nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=False)
        self.add_module(name, conv)
        self.add_module(f"{name}_bn", nn.BatchNorm2d(after))

    def _conv_bn(self, name: str, features: Tensor) -> Tensor:
        return self.get_submodule(f"{name}_bn")(self.get_submodule(name)(features))

    def _block(self, name: str, features: Tensor) -> Tensor:
        """One bottleneck: 1x1, 3x3, 1x1, each channel scaled by the whole map, plus the shortcut."""
        inner = torch.relu(self._conv_bn(f"{name}_1x1_reduce", features))
        inner = torch.relu(self._conv_bn(f"{name}_3x3", inner))
        inner = self._conv_bn(f"{name}_1x1_increase", inner)
        squeezed = torch.relu(self.get_submodule(f"{name}_1x1_down")(inner.mean(dim=(2, 3), keepdim=True)))
        excitation = torch.sigmoid(self.get_submodule(f"{name}_1x1_up")(squeezed))
        has_projection = hasattr(self, f"{name}_1x1_proj")
        shortcut = self._conv_bn(f"{name}_1x1_proj", features) if has_projection else features
        return torch.relu(inner * excitation + shortcut)

    def forward(self, face_rgb_255: Tensor) -> dict[str, Tensor]:
        if face_rgb_255.shape[-2:] != (self.image_size, self.image_size):
            height, width = face_rgb_255.shape[-2:]
            raise InputError(
                f"SENet50(image_size={self.image_size}) got faces of {height} x {width}: resize them first"
            )
        features = face_rgb_255 - self.rgb_mean
        if self.bgr:
            features = features.flip(1)
        features = self.stem_pool(torch.relu(self._conv_bn("conv1_7x7_s2", features)))
        for name in self._blocks:
            features = self._block(name, features)
        pooled = features.mean(dim=(2, 3), keepdim=True)
        return {"logits": self.classifier(pooled).flatten(1), "embedding": pooled.flatten(1)}
