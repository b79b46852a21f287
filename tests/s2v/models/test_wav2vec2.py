"""wav2vec 2.0 and HuBERT as speech encoders: timing, layers, and weights as they are published."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from s2v.errors import InputError
from s2v.models.wav2vec2 import Wav2Vec2
from s2v.weights import load_wav2vec2
from tests.s2v.generation.networks import speech_like


def small(norm: str = "group", layers: int = 2) -> Wav2Vec2:
    torch.manual_seed(0)
    return Wav2Vec2(hidden=64, layers=layers, norm=norm).eval()  # type: ignore[arg-type]


@torch.no_grad()
def test_contexts_are_the_networks_steps_at_their_times() -> None:
    encoder, speech = small(), speech_like(1.0)[None]
    contexts = encoder(speech)[1]
    steps = encoder.network.extract_features(speech)[0][-1]
    assert (steps.shape, contexts.shape) == ((1, 49, 64), (1, 100, 64))
    # Context 4 is centred on sample 720, step 1 on 520 and step 2 on 840: (840 - 720) / 320 of step 1.
    torch.testing.assert_close(contexts[:, 4], 0.375 * steps[:, 1] + 0.625 * steps[:, 2])
    torch.testing.assert_close(contexts[:, 0], steps[:, 0])  # before the first step's centre
    torch.testing.assert_close(contexts[:, 99], steps[:, 48])


@torch.no_grad()
def test_the_last_of_the_blocks_is_what_layers_says() -> None:
    """Block 1 of a network of two is what the same network cut to one block gives."""
    whole, cut = small(layers=2), small(layers=1)
    cut.load_state_dict({k: v for k, v in whole.state_dict().items() if ".layers.1." not in k})
    speech = speech_like(0.5)[None]
    first = whole.network.extract_features(speech)[0][0]
    torch.testing.assert_close(cut(speech)[1][:, 2], torch.lerp(first[:, 0], first[:, 1], 0.625))


@torch.no_grad()
def test_large_models_hear_speech_of_zero_mean_and_unit_variance() -> None:
    encoder, speech = small("layer"), speech_like(1.0)[None]
    torch.testing.assert_close(encoder(speech)[1], encoder(0.5 * speech + 0.1)[1], atol=0.01, rtol=0)


@torch.no_grad()
def test_speech_of_ten_milliseconds() -> None:
    assert small()(speech_like(0.01)[None])[1].shape == (1, 1, 64)
    with pytest.raises(InputError, match=r"^Wav2Vec2 expects speech of shape \(B, N\) with N >= 160"):
        small()(torch.zeros(1, 159))


@pytest.mark.parametrize(("layers", "heads"), [(0, None), (1, 5)])
def test_impossible_sizes(layers: int, heads: int | None) -> None:
    with pytest.raises(ValueError, match="heads that divide hidden"):
        Wav2Vec2(hidden=64, layers=layers, heads=heads)


@torch.no_grad()
def test_torchaudios_layout(tmp_path: Path) -> None:
    """As its HuBERT is published, with the names that PyTorch had then, and a recogniser's last layer."""
    network = small(layers=3)
    state = network.network.state_dict() | {"aux.weight": torch.zeros(32, 64), "aux.bias": torch.zeros(32)}
    for new, old in (("original0", "weight_g"), ("original1", "weight_v")):
        place = "encoder.transformer.pos_conv_embed.conv."
        state[f"{place}{old}"] = state.pop(f"{place}parametrizations.weight.{new}")
    torch.save(state, tmp_path / "hubert.pth")
    speech = speech_like(0.5)[None]
    loaded = load_wav2vec2(tmp_path / "hubert.pth")
    assert not loaded.training
    torch.testing.assert_close(loaded(speech)[1], network(speech)[1])
    assert load_wav2vec2(tmp_path / "hubert.pth", layers=2).layers == 2
    with pytest.raises(InputError, match=r"hubert\.pth has 3 transformer blocks, not 4: lower `layers`"):
        load_wav2vec2(tmp_path / "hubert.pth", layers=4)


@torch.no_grad()
@pytest.mark.parametrize(
    ("kind", "task", "settings"),
    [
        ("Hubert", "Model", {}),
        ("Hubert", "ForCTC", {}),
        ("Hubert", "Model", {"feat_extract_norm": "layer", "do_stable_layer_norm": True}),
        ("Wav2Vec2", "ForPreTraining", {}),
        (
            "Wav2Vec2",
            "Model",
            {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True},
        ),
    ],
)
def test_hugging_faces_networks_and_files(
    tmp_path: Path, kind: str, task: str, settings: dict[str, object]
) -> None:
    """Its own implementation gives the same numbers of the same weights."""
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 1, "intermediate_size": 256}
    config = getattr(transformers, f"{kind}Config")(**sizes, **settings)
    torch.manual_seed(0)
    theirs = getattr(transformers, f"{kind}{task}")(config).eval()
    save_file({k: v.contiguous() for k, v in theirs.state_dict().items()}, tmp_path / "model.safetensors")
    ours = load_wav2vec2(tmp_path / "model.safetensors", layers=2)
    speech = speech_like(0.5)[None]
    heard = torch.nn.functional.layer_norm(speech, speech.shape[-1:]) if settings else speech
    base = theirs if task == "Model" else getattr(theirs, kind.lower())
    steps: Tensor = base(heard, output_hidden_states=True).hidden_states[2]
    torch.testing.assert_close(
        ours(speech)[1][:, 2], torch.lerp(steps[:, 0], steps[:, 1], 0.625), atol=1e-5, rtol=0
    )
    assert steps.std() > 0.1


def test_other_files(tmp_path: Path) -> None:
    state = {f"encoder.transformer.layers.0.attention.rel_attn_embed.{k}": torch.zeros(1) for k in "ab"}
    for name, content in (("wavlm.pt", state), ("cpc.pt", {"gAR.baseNet.weight_ih_l0": torch.zeros(1)})):
        torch.save(content, tmp_path / name)
        with pytest.raises(InputError, match=rf"{name} is no wav2vec 2\.0 or HuBERT .* its keys are"):
            load_wav2vec2(tmp_path / name)
