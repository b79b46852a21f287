"""On a CUDA device: networks, metrics, streaming and whole fits agree with the CPU. Skipped where there is none."""

import copy
import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from s2v.cli import main
from s2v.generation.export_system import open_system
from s2v.generation.sdfa_stream import SDFAStream
from s2v.generation.speech_file import SpeechFile
from s2v.generation.streaming import StreamingGenerator
from s2v.metrics.clip_quality import ClipPSNR, ClipSSIM
from s2v.metrics.mean_sync_confidence import SyncConfidence
from s2v.metrics.mfcc import mfcc
from s2v.models.cpc import CPC
from s2v.models.mobilefacenet import MobileFaceNet
from s2v.models.mouth_syncnet import MouthSyncNet
from s2v.models.sdfa import SDFA
from s2v.models.senet import SENet50
from s2v.models.speaker_encoder import SpeakerEncoder
from s2v.models.syncnet import SyncNet
from s2v.models.vggface import VGGFace
from s2v.models.voice_encoder import VoiceEncoder
from tests.conftest import BuildOnce
from tests.experiments.combinations import FITS, arguments, tiny
from tests.experiments.conftest import options
from tests.s2v.generation.networks import small_networks, speech_like

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture
def full_float32() -> Iterator[None]:
    """Neither matrix products nor convolutions round their factors to TF32; afterwards they do what they did."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def on_both(network: nn.Module, *inputs: Tensor) -> tuple[object, object]:
    """What a network in eval mode gives on the CPU, and on the GPU brought back."""
    there = copy.deepcopy(network).cuda().eval()
    with torch.no_grad():
        return network.eval()(*inputs), brought_back(there(*(value.cuda() for value in inputs)))


def brought_back(found: object) -> object:
    if isinstance(found, Tensor):
        assert found.is_cuda
        return found.cpu()
    if isinstance(found, dict):
        return {name: brought_back(value) for name, value in found.items()}
    assert isinstance(found, list | tuple)
    return type(found)(map(brought_back, found))


def speech(seconds: float, clips: int) -> Tensor:
    return torch.stack([speech_like(seconds, seed) for seed in range(clips)])


def test_mfcc(full_float32: None) -> None:
    heard = (speech(1.3, 3) * 32767).round()
    torch.testing.assert_close(mfcc(heard.cuda()).cpu(), mfcc(heard.double()).float(), rtol=0, atol=1e-3)
    torch.testing.assert_close(mfcc(heard.double().cuda()).cpu(), mfcc(heard.double()), rtol=0, atol=1e-8)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        torch.testing.assert_close(mfcc(heard.cuda()).cpu(), mfcc(heard.double()).float(), rtol=0, atol=1e-3)


@pytest.mark.parametrize("rnn", ["lstm", "gru"])
def test_cpc(rnn: str, full_float32: None) -> None:
    torch.manual_seed(0)
    here, there = on_both(CPC(rnn=rnn), speech(1.3, 3))  # type: ignore[arg-type]
    torch.testing.assert_close(there, here, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: VGGFace(image_size=64, width=0.25, num_classes=10, batch_norm=True),
        lambda: SENet50(image_size=64, width=0.25, num_classes=8),
        lambda: MobileFaceNet(),
    ],
    ids=["VGGFace", "SENet50", "MobileFaceNet"],
)
def test_face_networks(make: Callable[[], nn.Module], full_float32: None) -> None:
    torch.manual_seed(0)
    network = make()
    size = int(getattr(network, "image_size", 112))
    faces = torch.rand(4, 3, size, size) * 255
    here, there = on_both(network, faces)
    with torch.no_grad():
        exact = copy.deepcopy(network).double()(faces.double())
    assert isinstance(here, dict) and isinstance(there, dict)
    for name, value in exact.items():
        # float32 itself can be further off where a network is ill-conditioned, as SENet with random weights is
        rounding, error = ((found[name] - value).norm() / value.norm() for found in (here, there))
        assert error < max(1e-4, 4 * rounding), f"{name}: {error:.1e}, the CPU's {rounding:.1e}"


@pytest.mark.parametrize("make", [lambda: SyncNet(64, 0.25), MouthSyncNet], ids=["SyncNet", "MouthSyncNet"])
def test_syncnets(make: Callable[[], nn.Module], full_float32: None) -> None:
    torch.manual_seed(0)
    network = make().eval()
    faces = torch.randint(0, 256, (12, 3, 80, 80), dtype=torch.uint8)
    heard = (speech(12 / 25, 1) * 32767).round()

    def embeddings(one: nn.Module, where: str) -> list[Tensor]:
        features = one.speech_features(heard.to(where))  # type: ignore[operator]
        lips = one.embed_lip_tracks(one.prepare_lips(faces.to(where))[None])  # type: ignore[operator]
        return [lips.cpu(), one.embed_speech_tracks(features).cpu()]  # type: ignore[operator]

    with torch.no_grad():
        here = embeddings(network, "cpu")
        there = embeddings(network.cuda(), "cuda")
    for mine, theirs in zip(there, here, strict=True):
        assert ((mine - theirs).norm(dim=-1) / theirs.norm(dim=-1)).max() < 1e-4


@pytest.mark.parametrize(
    "network",
    [SpeakerEncoder(hidden=32), VoiceEncoder(64, width=0.125, hidden=32, seconds=1.5)],
    ids=["SpeakerEncoder", "VoiceEncoder"],
)
def test_voices(network: nn.Module, full_float32: None) -> None:
    here, there = on_both(network, speech(2.0, 3))
    assert isinstance(here, Tensor) and isinstance(there, Tensor)
    assert (there - here).norm() < 1e-3 * here.norm()


def test_metrics(full_float32: None) -> None:
    """State and clips on the GPU, and the judge."""
    torch.manual_seed(0)
    real = torch.randint(0, 256, (12, 3, 64, 64), dtype=torch.uint8)
    generated = (real.float() + 20 * torch.randn(real.shape)).clamp(0, 255).to(torch.uint8)
    for metric in (ClipSSIM(), ClipSSIM("lower"), ClipPSNR(), ClipPSNR("lower")):
        there = copy.deepcopy(metric).to("cuda")
        for clip in (slice(0, 8), slice(4, 12)):
            metric.update(generated[clip], real[clip])
            there.update(generated[clip].cuda(), real[clip].cuda())
        assert there.total.is_cuda
        torch.testing.assert_close(there.compute().cpu(), metric.compute(), rtol=1e-5, atol=1e-5)

    syncnet = SyncNet(64, 1 / 16).eval()
    heard = (speech_like(12 / 25) * 32767).to(torch.int16)
    scores = []
    for where in ("cpu", "cuda"):
        confidence = SyncConfidence(syncnet.to(where)).to(where)
        confidence.update(real.to(where), heard.to(where))
        scores.append({name: float(value) for name, value in confidence.compute().items()})
    assert scores[1] == pytest.approx(scores[0], rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("rnn", ["lstm", "gru"])
def test_streaming_equals_one_pass_and_the_cpu(rnn: str, full_float32: None) -> None:
    networks = small_networks(rnn=rnn, speaker_encoder=True)
    heard = speech_like(3.21)
    expected = torch.cat(list(StreamingGenerator(*networks, window_frames=12).frames([heard])))
    representation, generator = (copy.deepcopy(networks[0]).cuda(), copy.deepcopy(networks[1]).cuda())
    whole = StreamingGenerator(representation, generator, 12)
    pieces = StreamingGenerator(representation, generator, 12, chunk_frames=7, kept_bytes=500)
    in_one = torch.cat(list(whole.decoded([heard])))
    assert in_one.is_cuda
    in_pieces = torch.cat(list(pieces.decoded(list(heard.split(1111)))))
    torch.testing.assert_close(in_pieces, in_one, rtol=0, atol=1e-4)
    assert largest_difference(torch.cat(list(whole.frames([heard]))), expected) <= 1
    live = StreamingGenerator(representation, generator, 12, identity="first")
    assert sum(map(len, live.frames(iter(heard.split(1111))))) == len(expected)


@pytest.mark.parametrize("voice", [False, True], ids=["SDFA", "S2F+SDFA"])
def test_sdfa_streaming(voice: bool, full_float32: None) -> None:
    torch.manual_seed(0)
    network = SDFA(32, 0.125, speech_dim=16, code_dim=8, voice_dim=12 if voice else None)
    encoder = VoiceEncoder(12, 1 / 16, hidden=8, seconds=1.5) if voice else None
    still = None if voice else torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8)
    heard = speech_like(1.3)
    expected = torch.cat(list(SDFAStream(network, still, encoder).frames([heard])))
    for chunk in (None, 7):
        stream = SDFAStream(network, still, encoder, "cuda", chunk)
        assert largest_difference(torch.cat(list(stream.frames([heard]))), expected) <= 1


def largest_difference(one: Tensor, other: Tensor) -> int:
    assert one.shape == other.shape and one.dtype == other.dtype == torch.uint8
    assert not one.is_cuda
    return int((one.int() - other.int()).abs().max())


@pytest.fixture(scope="session")
def cuda_chain(build_once: BuildOnce, crema_d_cache: Path) -> Path:
    """A folder with a finished tiny fit of each stage, made on the GPU in the precision that it takes there."""

    def fill(folder: Path) -> None:
        for name in FITS:
            assert main(["fit", *fit_of(name, crema_d_cache, folder)]) == 0, name

    return build_once("cuda_chain", fill)


def fit_of(name: str, cache: Path, folder: Path) -> list[str]:
    """The arguments of a tiny fit on a GPU."""
    return [*arguments(tiny(name)), *options(name, cache, folder), "--trainer.accelerator=auto"]


def saved(path: Path) -> dict[str, Tensor]:
    content = torch.load(path, map_location="cpu", weights_only=True)
    state: dict[str, Tensor] = content["state_dict"]
    assert all(bool(value.isfinite().all()) for value in state.values())
    return state | {"steps": torch.tensor(content["global_step"])}


@pytest.mark.parametrize("name", FITS)
def test_a_fit_ends_in_finite_weights(name: str, cuda_chain: Path) -> None:
    assert int(saved(cuda_chain / name / "best.ckpt")["steps"]) == 4
    assert int(saved(cuda_chain / name / "last.ckpt")["steps"]) == 4


@pytest.mark.parametrize(
    ("name", "precision"),
    [(name, "chosen") for name in ("distill", "compose", "sdfa", "s2f_sdfa")]
    + [(name, "32-true") for name in ("distill", "compose", "sdfa")],
)
def test_a_fit_goes_on_from_its_checkpoint(
    name: str,
    precision: str,
    cuda_chain: Path,
    crema_d_cache: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = saved(cuda_chain / name / "last.ckpt")
    more = ["--run_dir", str(tmp_path / "run"), "--ckpt_path", str(cuda_chain / name / "last.ckpt")]
    more += ["--trainer.max_steps=6"] + (
        [] if precision == "chosen" else [f"--trainer.precision={precision}"]
    )
    with caplog.at_level("INFO", logger="lightning"):
        assert main(["fit", *fit_of(name, crema_d_cache, cuda_chain), *more]) == 0
    chosen = [record.getMessage() for record in caplog.records if "precision: " in record.getMessage()]
    if precision == "chosen" and torch.cuda.get_device_capability() >= (8, 0):
        assert chosen == ["precision: bf16-mixed (the GPU has bfloat16; --trainer.precision overrules)"]
    after = saved(tmp_path / "run" / "last.ckpt")
    assert int(after["steps"]) == 6
    trained = [key for key in after if key.startswith("generator.") or "head" in key]
    assert any(not torch.equal(after[key], before[key]) for key in trained)


@pytest.mark.parametrize("name", ["identity_teacher", "syncnet", "distill", "voice_encoder"])
def test_what_was_fitted_is_tested(name: str, cuda_chain: Path) -> None:
    run_test(cuda_chain / name)
    metrics = [path.read_text() for path in (cuda_chain / name).glob("csv/version_*/metrics.csv")]
    assert any("test/" in text for text in metrics)


def run_test(folder: Path, *more: str) -> None:
    config, best = str(folder / "config.yaml"), str(folder / "best.ckpt")
    assert main(["test", "--config", config, *more, "--ckpt_path", best]) == 0


@pytest.mark.parametrize(("name", "system"), [("compose", "speech2video"), ("sdfa", "SDFA")])
def test_the_report_is_the_cpus(name: str, system: str, cuda_chain: Path, tmp_path: Path) -> None:
    found = {}
    for accelerator in ("cpu", "auto"):
        where = ["--run_dir", str(tmp_path / accelerator), f"--trainer.accelerator={accelerator}"]
        few = ["--trainer.callbacks.init_args.bootstrap=20"]
        run_test(cuda_chain / name, *arguments(["test/own_judges"]), *few, *where)
        report = json.loads((tmp_path / accelerator / "report" / "report.json").read_text())
        assert report["meta"]["device"].startswith("cpu" if accelerator == "cpu" else "cuda")
        found[accelerator] = {
            f"{row}/{metric}": report["systems"][row][metric]["mean"]
            for row in (system, "ground_truth", "still_frame")
            for metric in ("ssim", "psnr", "sharpness", "sync_distance", "identity_cosine")
        }
    assert found["auto"] == pytest.approx(found["cpu"], rel=2e-2, abs=1e-2)


@pytest.mark.parametrize("name", ["compose", "sdfa", "s2f_sdfa"])
def test_export_makes_the_cpus_frames(
    name: str, cuda_chain: Path, crema_d_corpus: Path, tmp_path: Path, full_float32: None
) -> None:
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    checkpoint = str(cuda_chain / name / "best.ckpt")
    recording = sorted((crema_d_corpus / "AudioWAV").glob("*.wav"))[0]
    face = str(tmp_path / "face.png") if name == "sdfa" else None
    Image.new("RGB", (80, 80), "tan").save(tmp_path / "face.png")

    def frames(device: str) -> Tensor:
        return torch.cat(list(open_system(checkpoint, device, image=face).frames(SpeechFile(recording))))

    here, there = frames("cpu"), frames("cuda")
    assert float((there.int() - here.int()).abs().float().mean()) < 0.5  # TF32 convolutions
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    assert largest_difference(frames("cuda"), here) <= 2

    video = tmp_path / "video.mp4"
    command = ["export", "--checkpoint", checkpoint, "--speech", str(recording), "--output", str(video)]
    assert main([*command, "--device", "cuda", *(["--image", face] if face else [])]) == 0
    with av.open(str(video)) as made:
        assert sum(1 for _ in made.decode(video=0)) == len(here)


def test_sample_videos_and_health_while_training(cuda_chain: Path) -> None:
    assert len(list((cuda_chain / "compose" / "samples" / "step-000004").glob("*.mp4"))) == 4
    rows = []
    for path in (cuda_chain / "compose").glob("csv/version_*/metrics.csv"):
        with path.open(newline="") as file:
            rows += list(csv.DictReader(file))
    assert any(row.get("val/ssim") for row in rows) and any(row.get("train/loss/generator") for row in rows)


def test_sync_confidence_at_each_validation(cuda_chain: Path, crema_d_cache: Path, tmp_path: Path) -> None:
    more = ["--run_dir", str(tmp_path / "run"), *arguments(["compose/sync_confidence"])]
    assert main(["fit", *fit_of("compose", crema_d_cache, cuda_chain), *more]) == 0
    (metrics,) = (tmp_path / "run").glob("csv/version_*/metrics.csv")
    with metrics.open(newline="") as file:
        assert any(row.get("val/sync_confidence") for row in csv.DictReader(file))
