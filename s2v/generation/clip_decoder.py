"""How a generator makes a clip's frames: by the folded decoder where it is this package's, else as it was trained."""

from typing import NamedTuple, Protocol

from torch import Tensor, nn

from s2v.models.folded_frame_decoder import FoldedFrameDecoder
from s2v.models.frame_decoder import FrameDecoder, JoinedUpsampling, Speech2VideoGenerator
from s2v.models.running_standardisation import RunningStandardisation

OWN_FRAMES = 8
"""Frames that an own generator, whose tensors' sizes nobody knows, makes at once on a CPU."""


class Likeness(NamedTuple):
    """What is the same in all of a clip's frames, of batch 1."""

    nu: Tensor
    """As it is drawn."""
    parts: list[Tensor | None]
    """The identity's, for the folded decoder."""
    pose: Tensor | None
    """(1, 1, P)."""


class ClipDecoder(Protocol):
    """Frames of one clip from contexts, emotions and its likeness."""

    frame_values: int | None
    """How many values the largest tensor of a frame has; None where that is not known."""

    def likeness(self, nu: Tensor) -> Likeness:
        """Of nu (1, I), once a clip."""

    def decode(self, contexts: Tensor, mu: Tensor, likeness: Likeness) -> Tensor:
        """contexts (1, t, D), mu (1, t, E) -> frames (1, t, 3, H, W) in [-1, 1]."""


class FoldedClipDecoder:
    """By `FoldedFrameDecoder`: the same frames as the generator's, several times faster."""

    def __init__(self, generator: Speech2VideoGenerator) -> None:
        self._generator = generator
        self._folded = FoldedFrameDecoder(generator.frame_decoder)
        self.frame_values: int | None = self._folded.largest_values

    def likeness(self, nu: Tensor) -> Likeness:
        """Of nu (1, I)."""
        nu, pose = self._generator.recalled(nu)
        return Likeness(nu, self._folded.identity_parts(self._generator.identity_maps(nu)), pose)

    def decode(self, contexts: Tensor, mu: Tensor, likeness: Likeness) -> Tensor:
        """As `ClipDecoder`'s."""
        return self._folded(contexts, self._generator.with_pose(mu, likeness.pose), likeness.parts)


class TrainedClipDecoder:
    """By the generator's `forward`, as in training: whatever a class of one's own has changed is kept."""

    frame_values: int | None = None

    def __init__(self, generator: Speech2VideoGenerator) -> None:
        self._generator = generator

    def likeness(self, nu: Tensor) -> Likeness:
        """Of nu (1, I)."""
        nu, pose = self._generator.recalled(nu)
        return Likeness(nu, [], pose)

    def decode(self, contexts: Tensor, mu: Tensor, likeness: Likeness) -> Tensor:
        """As `ClipDecoder`'s."""
        return self._generator(contexts, likeness.nu, mu, likeness.pose)[0]


def decoder_of(generator: Speech2VideoGenerator) -> ClipDecoder:
    """The fast one, if the generator computes what that one does."""
    return FoldedClipDecoder(generator) if is_foldable(generator) else TrainedClipDecoder(generator)


def is_foldable(generator: Speech2VideoGenerator) -> bool:
    """Whether a generator makes frames as `Speech2VideoGenerator` does, layer by layer.

    A class of one's own may have changed a method, or given a layer another kernel, a bias or a padding; layers may
    have been exchanged (for synchronised batch norms), or have hooks (those of `torch.nn.utils.weight_norm`). The
    folded decoder would compute something else.
    """
    decoder = generator.frame_decoder
    hooked = any(part._forward_pre_hooks or part._forward_hooks for part in generator.modules())
    if hooked or type(generator) is not Speech2VideoGenerator or type(decoder) is not FrameDecoder:
        return False
    last = [nn.Conv2d, nn.PixelShuffle, nn.Tanh] if decoder.subpixel else [nn.Conv2d, nn.Tanh]
    return (
        type(decoder.standardise) is RunningStandardisation
        and type(decoder.seed) is nn.Linear
        and _types(decoder.to_rgb) == last
        and all(map(_is_built_in, decoder.stages))
    )


def _is_built_in(stage: nn.Module) -> bool:
    convolution, norm = nn.Conv2d, nn.BatchNorm2d
    return (
        type(stage) is JoinedUpsampling
        and type(stage.from_frame) is nn.ConvTranspose2d
        and _types(stage.normalise) == [norm, nn.ReLU]
        and _types(stage.mix) == [convolution, norm, nn.ReLU, convolution, norm]
    )


def _types(layers: nn.Module) -> list[type]:
    return [type(layer) for layer in layers.children()]
