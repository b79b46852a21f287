"""What has to fit together before frames are generated, told in its config's words."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn

from s2v.batch import FPS, SAMPLE_RATE
from s2v.errors import InputError
from s2v.models.face_network import FaceNetwork
from s2v.models.frame_decoder import Speech2VideoGenerator
from s2v.models.speech_encoder import SpeechEncoder
from s2v.models.speech_representation import SpeechRepresentation
from s2v.models.voice_encoder import VoiceEncoder
from s2v.models.wav2vec2 import published_heads
from s2v.modules.face_source import load_face_network
from s2v.modules.face_teacher import FaceTeacher


def check_frame_size(size: tuple[int, int], data: Any) -> None:
    """The data module's square frames must be of the generator's size.

    Args:
        size: height and width of the generator's frames.
        data: the data module, if there is one.

    Raises:
        InputError: naming both sizes.
    """
    side = getattr(data, "image_size", None)
    if side is not None and size != (side, side):
        raise InputError(
            f"the generator makes frames of {size[0]} x {size[1]} pixels, the data's are {side} x {side}: "
            "give data.init_args.image_size and the networks' image_size the same value"
        )


def check_frame_rate(data: Any) -> None:
    """The data module's frames must be as many a second as are generated and as SyncNet sees.

    Raises:
        InputError: naming both rates.
    """
    rate = getattr(data, "fps", None)
    if rate is not None and rate != FPS:
        folder = getattr(data, "cache_dir", type(data).__name__)
        raise InputError(
            f"the clips in {folder} are stored at {rate:g} frames a second, but faces are generated and judged "
            f"at {FPS}: prepare them anew, without --fps"
        )


def check_batch_size(network: torch.nn.Module, trainer: Any, name: str = "the generator") -> None:
    """What normalises vectors over the batch, as the identity branch does, takes two clips or more.

    Args:
        network: as it is trained, its normalisation synchronised between processes or not.
        name: what it is.
        trainer: has the data module.

    Raises:
        InputError: there is one clip to a batch.
    """
    kinds = [type(part) for part in network.modules()]
    if not any(issubclass(kind, torch.nn.modules.batchnorm._BatchNorm) for kind in kinds):
        return
    size = getattr(trainer.datamodule, "batch_size", None)
    together = trainer.world_size if torch.nn.SyncBatchNorm in kinds else 1
    if size is not None and size * together < 2:
        raise InputError(
            f"data.init_args.batch_size is {size}, but {name} normalises over the batch: at least 2 is needed"
        )


def check_identity(weights: Any, identity_discriminator: torch.nn.Module) -> None:
    """D_ID has to make of a face network's maps such as the generator inflates.

    Args:
        weights: the composer's `LossWeights`.
        identity_discriminator: D_ID.

    Raises:
        InputError: it does not.
    """
    if weights.identity and not hasattr(identity_discriminator, "normalise_real"):
        raise InputError(
            f"D_ID compares a face network's maps with the generator's, but {type(identity_discriminator).__name__} "
            "has no normalise_real(maps) that makes them alike: add it, or set weights.identity to 0"
        )


def check_matching(weights: Any, frame_discriminator: torch.nn.Module) -> None:
    """Feature matching needs a D_fr that is trained and shows its maps.

    Args:
        weights: the composer's `LossWeights`.
        frame_discriminator: D_fr.

    Raises:
        InputError: it is not or does not.
    """
    if not weights.matching:
        return
    if not weights.frame:
        raise InputError(
            "weights.matching compares what D_fr has learnt to see, but weights.frame is 0, which leaves it untrained: "
            "give both a weight, or neither"
        )
    if not hasattr(frame_discriminator, "feature_maps"):
        raise InputError(
            f"weights.matching compares D_fr's maps, but {type(frame_discriminator).__name__} has no "
            "feature_maps(frames) that gives a list of them: add it, or set weights.matching to 0"
        )


def check_speakers(speaker: torch.Tensor, most: int) -> None:
    """A pose code has a memory for each of so many speakers, and has to know which is which.

    Args:
        speaker: (B,) the batch's.
        most: the generator's `num_speakers`.

    Raises:
        InputError: one is unknown or has a higher number.
    """
    low, high = int(speaker.min()), int(speaker.max())
    if low < 0:
        raise InputError(
            "a clip's speaker is unknown, which pose codes need: name speakers in the corpus, or set "
            "model.init_args.generator.init_args.pose_dim to 0"
        )
    if high >= most:
        raise InputError(
            f"the data has at least {high + 1} speakers, the generator's pose codes are for {most}: "
            f"set model.init_args.generator.init_args.num_speakers to the number of speakers"
        )


def check_heads(representation: SpeechRepresentation, trained_with: Any, path: str) -> None:
    """A ReLU at a head's end has no weights, by which one that is there in one stage alone would be told.

    Args:
        representation: stage 1, as the config makes it.
        trained_with: `hyper_parameters` of its checkpoint; of one that was made in Python they say nothing.
        path: of the checkpoint.

    Raises:
        InputError: stage 1 was trained with a head that ends otherwise.
    """
    for name, head in (
        ("identity_head", representation.identity_head),
        ("emotion_head", representation.emotion_head),
    ):
        said = _setting(trained_with, "representation", "init_args", name, "init_args", "non_negative")
        if isinstance(said, bool) and said != getattr(head, "non_negative", said):
            raise InputError(
                f"stage 1: {path} was trained with {name}.init_args.non_negative={str(said).lower()}, here it is "
                f"{str(head.non_negative).lower()}: give both the same"
            )


def check_encoder(encoder: SpeechEncoder, trained_with: Any, path: str) -> None:
    """Two settings of encoders that look ahead have no weights, by which others would be told.

    Args:
        encoder: stage 1's, as the config makes it.
        trained_with: `hyper_parameters` of its checkpoint; of one that was made in Python they say nothing.
        path: of the checkpoint.

    Raises:
        InputError: stage 1 was trained with another `span`, or number of `heads`.
    """
    said = _setting(trained_with, "representation", "init_args", "cpc", "init_args")
    for name in ("span", "heads"):
        if not isinstance(said, Mapping) or name not in said or not hasattr(encoder, name):
            continue
        there, here = said[name], getattr(encoder, name)
        if there is None:  # heads, as published
            there = published_heads(encoder.hidden)
        if there != here:
            raise InputError(
                f"stage 1: {path} was trained with cpc.init_args.{name}={there}, here it is {here}: give both the same"
            )


def check_seconds(voice: VoiceEncoder, trained_with: Any, path: str) -> None:
    """How much speech a voice encoder hears has no weights, by which another length would be told.

    Args:
        voice: as the config makes it.
        trained_with: `hyper_parameters` of its checkpoint; of one that was made in Python they say nothing.
        path: of the checkpoint.

    Raises:
        InputError: it was trained with another `seconds`.
    """
    said, here = _setting(trained_with, "voice", "init_args", "seconds"), voice.samples / SAMPLE_RATE
    if isinstance(said, int | float) and round(said * SAMPLE_RATE) != voice.samples:
        raise InputError(
            f"voice encoder: {path} was trained with voice.init_args.seconds={said:g}, here it is {here:g}: give both "
            "the same"
        )


def _setting(hyper_parameters: Any, *keys: str) -> Any:
    """What a checkpoint says of a setting, by the path to it; None where it says nothing."""
    said = hyper_parameters
    for key in keys:
        said = said.get(key) if isinstance(said, Mapping) else None
    return said


def warn_of_another_stage1(
    representation: torch.nn.Module,
    initial: dict[str, torch.Tensor],
    initial_path: str | None,
    path: str | None,
) -> None:
    """Says so where an initial checkpoint's generator has learned from what another stage 1 hears.

    Args:
        representation: the fit's stage 1.
        initial: all weights of the initial checkpoint.
        initial_path, path: the files that they and stage 1 are of.
    """
    own = {f"representation.{name}": value.cpu() for name, value in representation.state_dict().items()}
    if not all(name in initial and torch.equal(initial[name], value) for name, value in own.items()):
        rank_zero_warn(
            f"{initial_path} was trained on another stage 1 than {path or 'this one, which has no checkpoint'}: its "
            "generator has to learn anew what it is told"
        )


def load_feature_network(
    source: str | None, generator: Speech2VideoGenerator, compared: bool = True
) -> FaceTeacher | FaceNetwork:
    """The network behind D_ID and the perceptual loss.

    Args:
        source: what `load_face_network` takes.
        generator: made for a face network of a certain width.
        compared: whether D_ID compares its maps with the identity branch's, which then have as many channels.

    Raises:
        InputError: none is given, it can't be read, or its maps are others.
    """
    if not source:
        raise InputError(
            "D_ID and the perceptual loss compare a face network's maps: set model.init_args.feature_network to a "
            "VGGFace teacher's checkpoint or vggface:FILE, or the weights of both, model.init_args.weights.identity "
            "and .perceptual, to 0"
        )
    face_network = load_face_network(source)
    with torch.no_grad():
        maps = face_network.feature_maps(torch.zeros(1, 3, generator.image_size, generator.image_size))
    channels, wanted = [m.shape[1] for m in maps], generator.identity_branch.map_channels
    if compared and channels != wanted:
        raise InputError(
            f"the maps of {source} have {channels} channels, the generator's identity maps {wanted}: "
            "set feature_width, the generator's and D_ID's, to the face network's width"
        )
    return face_network
