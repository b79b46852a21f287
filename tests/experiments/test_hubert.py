"""Both stages and export with an encoder that looks ahead in CPC's place, tiny, through the command line."""

from pathlib import Path

import av
import torch

from s2v.cli import main
from s2v.models.wav2vec2 import Wav2Vec2
from tests.experiments.combinations import arguments, tiny
from tests.experiments.conftest import options


def test_from_published_weights_to_a_video(
    chain: Path, crema_d_cache: Path, crema_d_corpus: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    published = Wav2Vec2(hidden=64, layers=3)
    torch.save(published.network.state_dict(), tmp_path / "hubert.pth")

    def fit(name: str, *more: str) -> None:
        size = "--model.init_args.representation.init_args.cpc.init_args="
        command = ["fit", *arguments([*tiny(name), "base/hubert"]), *options(name, crema_d_cache, chain)]
        command += [f"{size}{{hidden: 64, layers: 2}}", "--run_dir", str(tmp_path / name), *more]
        assert main(command) == 0

    fit("distill", "--model.init_args.cpc_checkpoint", str(tmp_path / "hubert.pth"))
    trained = torch.load(tmp_path / "distill" / "last.ckpt", weights_only=True)["state_dict"]
    prefix = "representation.cpc.network."
    heard = {key.removeprefix(prefix): value for key, value in trained.items() if key.startswith(prefix)}
    assert heard.keys() == {k for k in published.network.state_dict() if ".layers.2." not in k}
    assert all(torch.equal(value, published.network.state_dict()[key]) for key, value in heard.items())

    fit("compose", "--model.init_args.stage1_checkpoint", str(tmp_path / "distill" / "last.ckpt"))
    speech, video = sorted((crema_d_corpus / "AudioWAV").glob("*.wav"))[0], tmp_path / "talking.mp4"
    command = ["export", "--checkpoint", str(tmp_path / "compose" / "last.ckpt"), "--speech", str(speech)]
    assert main([*command, "--output", str(video), "--device", "cpu", "--threads", "1"]) == 0
    with av.open(str(video)) as made:
        assert len(list(made.decode(video=0))) >= 25
