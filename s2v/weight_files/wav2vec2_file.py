"""Published wav2vec 2.0 and HuBERT weights, by the names that torchaudio's network has."""

import re
from pathlib import Path

from s2v.errors import InputError
from s2v.weight_files.weight_file import StateDict, read_state_dict, some_of

_BLOCK = re.compile(r"encoder\.transformer\.layers\.(\d+)\.")


def wav2vec2_state(path: str | Path, layers: int | None = None) -> StateDict:
    """The weights of torchaudio's or Hugging Face's file, without heads for training and recognition.

    Args:
        path: the file.
        layers: how many of the transformer's blocks are wanted; None for all.

    Raises:
        InputError: it has fewer blocks, is of another network, such as WavLM, or in fairseq's layout.
    """
    content = read_state_dict(path)
    prefix = next((p for p in ("wav2vec2.", "hubert.") if any(key.startswith(p) for key in content)), "")
    state = {_torchaudio_key(key.removeprefix(prefix)): value for key, value in content.items()}
    state = {k: v for k, v in state.items() if k.startswith(("feature_extractor.", "encoder."))}
    found = blocks_of(state)
    if not found or any(".rel_attn_embed." in key for key in state):
        raise InputError(
            f"{path} is no wav2vec 2.0 or HuBERT as torchaudio or Hugging Face publish them: expected "
            f"'feature_extractor.conv_layers.0.conv.weight' and so on in it, but its keys are {some_of(content)}"
        )
    wanted = layers or found
    if wanted > found:
        raise InputError(f"{path} has {found} transformer blocks, not {wanted}: lower `layers`")
    return {k: v for k, v in state.items() if not (block := _BLOCK.match(k)) or int(block[1]) < wanted}


def blocks_of(state: StateDict) -> int:
    """How many transformer blocks there are."""
    return len({block[1] for key in state if (block := _BLOCK.match(key))})


def _torchaudio_key(key: str) -> str:
    """Hugging Face's name, or one from before PyTorch's parametrisations, as torchaudio's network has it today."""
    for old, new in (("weight_g", "original0"), ("weight_v", "original1")):
        key = key.replace(f"pos_conv_embed.conv.{old}", f"pos_conv_embed.conv.parametrizations.weight.{new}")
    if key.startswith("feature_projection."):
        return f"encoder.{key}"
    if key.startswith(("encoder.layers.", "encoder.layer_norm.", "encoder.pos_conv_embed.")):
        return key.replace("encoder.", "encoder.transformer.", 1)
    return key
