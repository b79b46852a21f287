"""Pretrained weights put into a speech representation: CPC's and the speaker encoder's."""

from s2v.errors import InputError
from s2v.models.cpc_prediction import FuturePrediction
from s2v.models.speech_encoder import SpeechEncoder
from s2v.models.speech_representation import SpeechRepresentation
from s2v.models.wav2vec2 import Wav2Vec2
from s2v.modules.checkpoint_part import load_part, read_checkpoint
from s2v.modules.consent_mark import mark_unasked


def load_cpc_weights(cpc: SpeechEncoder, path: str, prediction: FuturePrediction | None = None) -> None:
    """Put pretrained weights, own (`*.ckpt`, which also have the predictions') or published, into a speech encoder.

    Published are CPC's and, for a `Wav2Vec2`, wav2vec 2.0's and HuBERT's.
    """
    if not path.endswith(".ckpt"):
        from s2v.weights import load_cpc, load_wav2vec2

        if isinstance(cpc, Wav2Vec2):
            published: SpeechEncoder = load_wav2vec2(path, cpc.layers)
            _check_kind(cpc, published, path)
        else:
            published = load_cpc(path)
        state = {f"cpc.{key}": value for key, value in published.state_dict().items()}
    else:
        checkpoint = read_checkpoint(path, "pretrained CPC")
        mark_unasked(cpc, checkpoint)
        state = checkpoint["state_dict"]
        if prediction is not None:
            load_part(prediction, state, "prediction.", path, "pretrained CPC")
    load_part(cpc, state, "cpc.", path, "pretrained CPC")


def _check_kind(configured: Wav2Vec2, published: SpeechEncoder, path: str) -> None:
    """Name the settings, where `load_part` would list tensors."""
    there, here = ({"hidden": each.hidden, "norm": each.norm} for each in (published, configured))
    if there != here:
        settings = ", ".join(f"{name}: {value}" for name, value in there.items())
        raise InputError(
            f"pretrained CPC: {path} does not fit the configured network: set "
            f"model.init_args.representation.init_args.cpc.init_args='{{{settings}}}'"
        )


def load_speaker_weights(representation: SpeechRepresentation, path: str) -> None:
    """Put published weights into a representation's speaker encoder."""
    from s2v.weights import load_speaker_encoder

    if representation.speaker_encoder is None:
        raise InputError(
            f"speaker_checkpoint is {path}, but the representation has no speaker encoder: set "
            "model.init_args.representation.init_args.speaker_encoder, or leave speaker_checkpoint out"
        )
    load_part(
        representation.speaker_encoder, load_speaker_encoder(path).state_dict(), "", path, "speaker encoder"
    )
