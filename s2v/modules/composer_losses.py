"""What stage 2's discriminators score, and the terms of its generator's loss (eqs. 4 to 10)."""

from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor

from s2v.face_regions import RowRegion
from s2v.losses.feature_distance import distance_seen_by
from s2v.losses.frame_similarity import frame_similarity_loss, mouth_similarity_loss
from s2v.losses.image_gradient import image_gradient_loss
from s2v.models.face_network import FaceNetwork
from s2v.modules.adversarial import AdversarialModule
from s2v.modules.discriminator_parts import scores_of_maps, sync_parts
from s2v.modules.face_teacher import FaceTeacher
from s2v.modules.frame_augmentation import FrameAugmentation
from s2v.modules.frozen import FrozenNetworks


@dataclass
class LossWeights:
    """Weights of eq. 10's terms and of what the paper does not have; 0 leaves a term out. Keys are the logged names.

    Attributes:
        identity: D_ID's (eq. 4).
        frame: D_fr's (eq. 5).
        sync: D_sync's (eq. 6).
        similarity: pixels (eq. 8).
        gradient: edges (eq. 9).
        mouth: pixels round the mouth.
        matching: D_fr's maps of a made frame against those of the real one (feature matching).
        perceptual: likewise those of the face network behind D_ID.
    """

    identity: float = 1.0
    frame: float = 1.0
    sync: float = 1.0
    similarity: float = 1.0
    gradient: float = 1.0
    mouth: float = 0.0
    matching: float = 0.0
    perceptual: float = 0.0


class ComposerLosses(AdversarialModule):
    """Of a generator and the discriminators D_ID, D_fr and D_sync; a subclass sets the attributes.

    Attributes:
        discriminators: `identity`, `frame` and `sync`.
        feature_networks: `face`, the network behind D_ID.
        weights: of the loss terms; a discriminator without one takes no part.
        similarity_region: rows of eq. 8.
        similarity_reduction: `mean`, or `sum` as printed.
        gradient_sigma: width in pixels of eq. 9's smoothing filter; 0 leaves it out.
        frame_augmentation: changes every frame, real or made, before D_fr judges it.
    """

    feature_networks: FrozenNetworks
    weights: LossWeights
    similarity_region: RowRegion
    similarity_reduction: Literal["mean", "sum"]
    gradient_sigma: float
    frame_augmentation: FrameAugmentation | None

    @property
    def face_network(self) -> FaceTeacher | FaceNetwork:
        """The frozen network behind D_ID, there during a fit."""
        return cast(FaceNetwork, self.feature_networks["face"])

    def seen_by_sync(self, real: Tensor) -> Tensor:
        """What D_sync makes of real frames (B, T, 3, S, S) whatever they are paired with, (B, T, ...).

        The frames themselves, where it makes nothing or takes no part.
        """
        return sync_parts(self.discriminators["sync"])[0](real) if self.weights.sync else real

    def score_real(
        self, face_maps: list[Tensor], real: Tensor, contexts: Tensor, seen: Tensor
    ) -> dict[str, Tensor]:
        """Scores of real inputs by each discriminator whose loss has a weight.

        Args:
            face_maps: the face network's maps of the still, smallest first; read if D_ID takes part.
            real: (B, T, 3, S, S) in [-1, 1].
            contexts: (B, T, D).
            seen: `seen_by_sync(real)`.
        """
        d, scores = self.discriminators, {}
        if self.weights.identity:
            identity: Any = d["identity"]
            scores["identity"] = identity(identity.normalise_real(face_maps))
        if self.weights.frame:
            scores["frame"] = self._judged_frames(real)
        if self.weights.sync:
            scores["sync"] = sync_parts(d["sync"])[1](contexts, seen)
        return scores

    def score_fake(
        self, inflated: list[Tensor], fake: Tensor, contexts: Tensor, seen: Tensor
    ) -> dict[str, Tensor]:
        """Scores of generated inputs; for D_sync also of real pairs from different instants (eq. 6).

        The three kinds of asynchronous pairs count the same, and together as much as the synchronous ones.

        Args:
            inflated: the identity maps of `generator`, smallest first.
            fake: the generated frames (B, T, 3, S, S) in [-1, 1].
            contexts: (B, T, D).
            seen: `seen_by_sync` of the clip's frames.
        """
        d, scores = self.discriminators, {}
        if self.weights.identity:
            scores["identity"] = d["identity"](inflated)
        if self.weights.frame:
            scores["frame"] = self._judged_frames(fake)
        if self.weights.sync:
            score_pairs = sync_parts(d["sync"])[1]
            frames = fake.shape[1]
            shifts = torch.randint(1, max(2, frames), (2,)).tolist()
            apart = [
                (contexts, seen.roll(shifts[0], dims=1)),
                (contexts.roll(shifts[1], dims=1), seen),
            ]
            wrong = [score_pairs(*pair) for pair in apart] if frames > 1 else []
            scores["sync"] = torch.stack([*wrong, d["sync"](contexts, fake)])
        return scores

    def _judged_frames(self, frames: Tensor) -> Tensor:
        """D_fr's scores of frames (B, T, 3, S, S) in [-1, 1]."""
        seen = frames.flatten(0, 1)
        return self.discriminators["frame"](
            seen if self.frame_augmentation is None else self.frame_augmentation(seen)
        )

    def generator_losses(
        self, inflated: list[Tensor], fake: Tensor, real: Tensor, contexts: Tensor
    ) -> dict[str, Tensor]:
        """The generator's terms of eq. 10, unweighted, keyed as `LossWeights`.

        A subclass may add its own, under other names and scaled as it wants them: they count as they are.

        Args:
            inflated: the identity maps of `generator`, smallest first.
            fake: the generated frames (B, T, 3, S, S) in [-1, 1].
            real: the clip's, likewise.
            contexts: (B, T, D).

        Returns:
            Scalars, each logged as `train/loss/NAME`.
        """
        d, w = self.discriminators, self.weights
        terms = {}
        if w.identity:
            terms["identity"] = self.adversarial.generator(d["identity"](inflated))
        frame: Any = d["frame"]
        fake_maps = frame.feature_maps(fake.flatten(0, 1)) if w.matching else []
        if w.frame:
            # augmented frames have other maps than those that are matched
            as_they_are = w.matching and self.frame_augmentation is None
            score_maps = scores_of_maps(frame) if as_they_are else None
            scores = score_maps(fake_maps) if score_maps else self._judged_frames(fake)
            terms["frame"] = self.adversarial.generator(scores)
        if w.sync:
            terms["sync"] = self.adversarial.generator(d["sync"](contexts, fake))
        if w.similarity:
            terms["similarity"] = frame_similarity_loss(
                fake, real, self.similarity_region, self.similarity_reduction
            )
        if w.mouth:
            terms["mouth"] = mouth_similarity_loss(fake, real)
        if w.gradient:
            terms["gradient"] = image_gradient_loss(fake, real, self.gradient_sigma)
        if w.matching:
            terms["matching"] = distance_seen_by(frame.feature_maps, fake, real, fake_maps)
        if w.perceptual:
            face_maps = self.face_network.feature_maps
            terms["perceptual"] = distance_seen_by(lambda frames: face_maps((frames + 1) * 127.5), fake, real)
        return terms
