"""The face network's maps of each clip's still face, D_ID's real input, computed once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from s2v.models.face_network import FaceNetwork
from s2v.modules.clip_tensors import ClipTensors, fill, fingerprint
from s2v.modules.face_teacher import FaceTeacher

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

MAPS = ("conv5_3", "conv4_3", "conv3_3")
"""As `FaceNetwork.feature_maps` gives them, smallest first."""


def filled_map_cache(
    folder: str, trainer: "Trainer", network: FaceTeacher | FaceNetwork, source: str, device: torch.device
) -> ClipTensors:
    """The cache with the maps of the first frame of all training clips.

    Args:
        folder: where the files lie; made where it is missing.
        trainer: of the fit, whose data module has the clips (`check_not_mirrored`).
        network: on `device`.
        source: what the network's code is, beside its weights (`content_of_source`).
        device: where the network is.

    Raises:
        InputError: the folder can't be written.
    """
    cache = ClipTensors(folder, fingerprint({"face": network}, [source]), "identity maps", "map_cache")

    @torch.no_grad()
    def maps(clip: Any) -> dict[str, Tensor]:
        found = network.feature_maps(clip["still"].unsqueeze(0).to(device))
        return {name: one[0] for name, one in zip(MAPS, found, strict=True)}

    fill(cache, trainer, maps, parts=("train",))
    return cache


def kept_maps(cache: ClipTensors, clip_ids: Sequence[str], device: torch.device) -> list[Tensor] | None:
    """`feature_maps` of these clips' stills, each (B, C, h, w), read; None where the cache lacks one of them."""
    if not all(map(cache.knows, clip_ids)):
        return None
    read = [cache.read(clip_id, **dict.fromkeys(MAPS, ...)) for clip_id in clip_ids]
    return [torch.stack(maps).to(device) for maps in zip(*read, strict=True)]
