"""wav2vec 2.0 and HuBERT as speech encoders: timing, layers, and weights as they are published."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from s2v.errors import InputError
from s2v.models.cpc import CPC
from s2v.models.speech_representation import SpeechRepresentation
from s2v.models.students import StudentHead
from s2v.models.wav2vec2 import Wav2Vec2, published_heads
from s2v.modules.composer_checks import check_encoder
from s2v.modules.distill import DistillModule
from s2v.modules.speech_weights import load_cpc_weights
from s2v.weights import load_wav2vec2
from tests.s2v.generation.networks import speech_like
from tests.s2v.modules.small_modules import composer


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


@pytest.mark.parametrize(
    "settings",
    [{"layers": 0}, {"layers": 1, "heads": 5}, {"heads": 0}, {"heads": -1}, {"hidden": 100, "heads": 1}],
)
def test_impossible_sizes(settings: dict[str, int]) -> None:
    with pytest.raises(
        ValueError, match="expected at least one of layers and heads, and as hidden a multiple of 16"
    ):
        Wav2Vec2(**{"hidden": 64, **settings})  # type: ignore[arg-type]


def test_sizes_of_published_models() -> None:
    """HuBERT base, large and xlarge, XLS-R 2B; a window is two seconds, unless it is said otherwise."""
    assert [published_heads(hidden) for hidden in (768, 1024, 1280, 1920, 32)] == [12, 16, 16, 16, 1]
    assert [Wav2Vec2(64, 1, **more).layout.length for more in ({}, {"span": 1.0})] == [200, 100]  # type: ignore[arg-type]


@pytest.mark.parametrize("norm", ["group", "layer"])
def test_every_weight_learns_where_it_is_fine_tuned(norm: str) -> None:
    """DDP waits for gradients that never come; and nothing is dropped at random."""
    encoder = small(norm).train()
    contexts = [encoder(speech_like(0.3)[None])[1] for _ in range(2)]
    torch.testing.assert_close(*contexts)
    contexts[0].square().sum().backward()
    assert not [name for name, weight in encoder.named_parameters() if weight.grad is None]


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


def test_weights_of_another_kind_name_the_settings(tmp_path: Path) -> None:
    torch.save(small("layer").network.state_dict(), tmp_path / "large.pth")
    with pytest.raises(
        InputError, match=r"set model\.init_args.*\.cpc\.init_args='\{hidden: 64, norm: layer\}'$"
    ):
        load_cpc_weights(small("group"), str(tmp_path / "large.pth"))
    configured = small("layer", layers=1)
    load_cpc_weights(configured, str(tmp_path / "large.pth"))
    name = "encoder.transformer.layers.0.attention.k_proj.weight"
    assert torch.equal(configured.network.state_dict()[name], small("layer").network.state_dict()[name])


@pytest.mark.parametrize("stage", [1, 2])
def test_random_weights_are_told(stage: int) -> None:
    encoder = small()
    heads = (StudentHead(in_dim=64, hidden=16, out_dim=size) for size in (205, 8))
    if stage == 1:
        module: Any = DistillModule(SpeechRepresentation(encoder, *heads))
    else:
        module = composer(weights={"identity": 0.0})
        module.representation.cpc = encoder
    assert "of random weights, which stay" in module.untrained()


@pytest.mark.parametrize(
    ("trained_with", "fault"),
    [
        ({"span": 1.0}, "span=1.0, here it is 2.0"),
        ({"heads": 2}, "heads=2, here it is 1"),
        ({"span": 2.0, "heads": None}, ""),
    ],
)
def test_stage_2_hears_as_stage_1_did(trained_with: dict[str, Any], fault: str) -> None:
    said = {"representation": {"init_args": {"cpc": {"init_args": trained_with}}}}
    if fault:
        with pytest.raises(
            InputError, match=rf"was trained with cpc\.init_args\.{fault}: give both the same$"
        ):
            check_encoder(small(), said, "one.ckpt")
    else:
        check_encoder(small(), said, "one.ckpt")
        check_encoder(CPC(channels=8, hidden=8), said, "one.ckpt")
