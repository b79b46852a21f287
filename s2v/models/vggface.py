"""VGGFace: the VGG-16 face network (Parkhi et al. 2015), teacher of identity and of D_ID."""

import torch
from torch import Tensor, nn

from s2v.errors import InputError
from s2v.models.width import scaled_channels

RGB_MEAN = (129.186279296875, 104.76238250732422, 93.59396362304688)
"""Mean colour of the published training faces, on 0..255, subtracted from every input."""

_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""(channels, convolutions) of the five stages; each ends in a 2 x 2 max-pool."""

MAP_NAMES = ("conv3_3", "conv4_3", "conv5_3")
"""The layers whose maps D_ID looks at, largest first."""


class VGGFace(nn.Module):
    """Faces (B, 3, S, S), RGB 0..255, to a dict of `fc7` (the identity nu*), `fc8` and three feature maps.

    State-dict keys are those of "vgg_face_dag": `conv1_1 ... conv5_3, fc6, fc7, fc8`. With `batch_norm` (for
    teachers trained here from scratch; no published weights have it) each convolution gains a `..._bn`.

    Args:
        image_size: S, a multiple of 32; 224 as published. Only the fully connected layers depend on it.
        width: multiplier of every layer's channels; 1 as published (145.0 M parameters).
        num_classes: outputs of `fc8`; 2622 people as published.
        batch_norm: normalise after each convolution.
    """

    rgb_mean: Tensor

    def __init__(
        self,
        image_size: int = 224,
        width: float = 1.0,
        num_classes: int = 2622,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        if image_size % 32:
            raise InputError(f"VGGFace needs an image_size that is a multiple of 32, but got {image_size}")
        self.image_size, self.num_classes = image_size, num_classes
        self.map_channels = tuple(scaled_channels(c, width) for c in (256, 512, 512))
        """Channels of conv3_3, conv4_3 and conv5_3."""
        self.identity_dim = scaled_channels(4096, width)
        """Width of fc7."""

        self.register_buffer("rgb_mean", torch.tensor(RGB_MEAN).view(1, 3, 1, 1), persistent=False)
        self._stages: list[list[str]] = []
        before = 3
        for stage, (channels, depth) in enumerate(_STAGES, start=1):
            names = [f"conv{stage}_{index}" for index in range(1, depth + 1)]
            for name in names:
                after = scaled_channels(channels, width)
                self.add_module(name, nn.Conv2d(before, after, kernel_size=3, padding=1))
                self.add_module(f"{name}_bn", nn.BatchNorm2d(after) if batch_norm else nn.Identity())
                before = after
            self._stages.append(names)
        self.fc6 = nn.Linear(before * (image_size // 32) ** 2, self.identity_dim)
        self.fc7 = nn.Linear(self.identity_dim, self.identity_dim)
        self.fc8 = nn.Linear(self.identity_dim, num_classes)
        self._initialise()

    def _initialise(self) -> None:
        """Kaiming, as PyTorch's own default lets the signal of 13 convolutions without BN die out.

        The first layer is divided by the spread of face pixels (about 60 on 0..255), so that activations, and
        with them the first gradients, are of order one.
        """
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                nn.init.kaiming_normal_(parameter, nonlinearity="relu")
            elif "_bn" not in name:
                nn.init.zeros_(parameter)
        with torch.no_grad():
            self.get_parameter("conv1_1.weight").div_(60.0)
        nn.init.normal_(self.fc8.weight, std=0.01)

    def _maps(self, face_rgb_255: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The three named maps (after ReLU), and the last stage pooled."""
        features = face_rgb_255 - self.rgb_mean
        maps = {}
        for names in self._stages:
            for name in names:
                conv, norm = self.get_submodule(name), self.get_submodule(f"{name}_bn")
                features = torch.relu(norm(conv(features)))
            if names[-1] in MAP_NAMES:
                maps[names[-1]] = features
            features = nn.functional.max_pool2d(features, kernel_size=2, stride=2)
        return maps, features

    def feature_maps(self, face_rgb_255: Tensor) -> list[Tensor]:
        """conv3_3, conv4_3 and conv5_3, after ReLU, of faces (B, 3, h, w), any multiple of 32 a side.

        Their sizes are 1/4, 1/8 and 1/16 of the input's: 32, 16 and 8 for 128 x 128.
        """
        height, width = face_rgb_255.shape[-2:]
        if height % 32 or width % 32:
            raise InputError(f"VGGFace needs sides that are multiples of 32, but got {height} x {width}")
        maps, _ = self._maps(face_rgb_255)
        return [maps[name] for name in MAP_NAMES]

    def forward(self, face_rgb_255: Tensor) -> dict[str, Tensor]:
        """Faces (B, 3, S, S) to fc7 (B, identity_dim), after ReLU, fc8 (B, num_classes), and the maps."""
        if face_rgb_255.shape[-2:] != (self.image_size, self.image_size):
            height, width = face_rgb_255.shape[-2:]
            raise InputError(
                f"VGGFace(image_size={self.image_size}) got faces of {height} x {width}: resize them first"
            )
        maps, pooled = self._maps(face_rgb_255)
        fc6 = torch.relu(self.fc6(pooled.flatten(1)))
        fc7 = torch.relu(self.fc7(fc6))
        return {"fc7": fc7, "fc8": self.fc8(fc7), **maps}
