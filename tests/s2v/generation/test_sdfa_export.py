"""The baselines as `s2v export` makes them: SDFA of a picture, S2F+SDFA of speech alone."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from lightning.pytorch.cli import LightningCLI
from PIL import ExifTags, Image

from s2v.cli import main
from s2v.errors import InputError
from s2v.generation.sdfa_stream import SDFAStream, generate_sdfa_clip
from s2v.generation.still_picture import read_still
from s2v.models.sdfa import SDFA
from s2v.models.voice_encoder import VoiceEncoder
from s2v.modules.sdfa import SDFAModule
from tests.s2v.generation.composer_checkpoint import network, write_composer_checkpoint
from tests.s2v.generation.media import write_sound
from tests.s2v.generation.networks import speech_like
from tests.s2v.test_sdfa_weights import content


def write_checkpoint(path: Path, voice: bool) -> Path:
    """An untrained 32 x 32 baseline, as `s2v fit` writes one."""
    size = {"image_size": 32, "width": 0.125}
    more = {"speech_dim": 16, "code_dim": 8, "voice_dim": 12 if voice else None}
    networks: dict[str, Any] = {
        "generator": network("sdfa.SDFA", **size, **more),
        "frame_discriminator": network("sdfa_discriminators.StillFrameDiscriminator", **size),
        "sequence_discriminator": network("sdfa_discriminators.SequenceDiscriminator", **size),
        "sync_discriminator": network("sdfa_discriminators.SpeechLipsDiscriminator", **size),
    }
    if voice:
        settings = {"out_dim": 12, "width": 1 / 16, "hidden": 8, "seconds": 1.5}
        networks["voice"] = network("voice_encoder.VoiceEncoder", **settings)
    with torch.random.fork_rng():
        cli = LightningCLI(
            SDFAModule,
            subclass_mode_model=True,
            run=False,
            save_config_callback=None,
            seed_everything_default=0,
            args={
                "model": {"class_path": "s2v.modules.sdfa.SDFAModule", "init_args": networks},
                "trainer": {"accelerator": "cpu", "logger": False, "enable_checkpointing": False},
            },
        )
    cli.trainer.strategy.connect(cli.model)
    cli.trainer.save_checkpoint(path)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """sdfa.ckpt, s2f_sdfa.ckpt, compose.ckpt, speech.wav of 1.3 s and face.png of 48 x 60 (W x H)."""
    folder = tmp_path_factory.mktemp("baselines")
    write_checkpoint(folder / "sdfa.ckpt", voice=False)
    write_checkpoint(folder / "s2f_sdfa.ckpt", voice=True)
    write_composer_checkpoint(folder / "compose.ckpt")
    write_sound(folder / "speech.wav", speech_like(1.3).numpy(), 16_000, "pcm_s16le")
    pixels = np.random.default_rng(0).integers(0, 256, (60, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "face.png")
    return folder


def export(files: Path, checkpoint: str, output: Path, *arguments: str) -> int:
    source = checkpoint if ":" in checkpoint else str(files / checkpoint)
    given = ["--checkpoint", source, "--speech", str(files / "speech.wav")]
    return main(["export", *given, "--output", str(output), "--device", "cpu", "--threads", "1", *arguments])


@pytest.mark.parametrize("system", ["sdfa", "s2f_sdfa"])
def test_a_recording_becomes_a_video(system: str, files: Path, tmp_path: Path) -> None:
    picture = ["--image", str(files / "face.png")] if system == "sdfa" else []
    assert export(files, f"{system}.ckpt", tmp_path / "video.mp4", *picture) == 0
    with av.open(str(tmp_path / "video.mp4")) as video:
        assert video.streams.audio
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert np.shape(frames) == (33, 32, 32, 3)


def test_published_weights_make_a_video(files: Path, tmp_path: Path) -> None:
    torch.save(content(), tmp_path / "published.dat")
    arguments = ["--speech", str(files / "speech.wav"), "--output", str(tmp_path / "video.mp4")]
    command = ["export", "--checkpoint", f"sdfa:{tmp_path / 'published.dat'}", *arguments, "--device", "cpu"]
    assert main([*command, "--image", str(files / "face.png")]) == 0
    with av.open(str(tmp_path / "video.mp4")) as video:
        assert (video.streams.video[0].height, video.streams.video[0].width) == (32, 24)


@pytest.mark.parametrize(
    ("checkpoint", "image", "words"),
    [
        ("sdfa.ckpt", None, "give one with --image"),
        ("sdfa:none.dat", "face.png", "no weights at none.dat"),
        ("sdfa.ckpt", "missing.png", "no file"),
        ("sdfa.ckpt", "speech.wav", "convert it to JPEG or PNG of 8 bits"),
        ("s2f_sdfa.ckpt", "face.png", "leave --image out"),
        ("compose.ckpt", "face.png", "leave --image out"),
    ],
)
def test_the_picture_is_given_where_it_is_needed(
    checkpoint: str,
    image: str | None,
    words: str,
    files: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    picture = [] if image is None else ["--image", str(files / image)]
    assert export(files, checkpoint, tmp_path / "video.mp4", *picture) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and words in error
    assert not (tmp_path / "video.mp4").exists()


def test_missing_weights_are_named_beside_a_kept_video(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "video.mp4").write_bytes(b"mine")
    assert export(files, "sdfa:none.dat", tmp_path / "video.mp4", "--image", str(files / "face.png")) == 2
    assert "no weights at none.dat" in capsys.readouterr().err


def test_a_picture_is_cut_to_the_middle_and_resized(tmp_path: Path) -> None:
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, 20:40, 0], pixels[:, 40:60, 1] = 200, 100  # the middle square: red, then green
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    still = read_still(tmp_path / "wide.png", (20, 20))
    assert still.shape == (3, 20, 20) and still.dtype == torch.uint8
    assert still[:, 10, 4].tolist() == [200, 0, 0] and still[:, 10, 15].tolist() == [0, 100, 0]


def test_a_picture_that_lies_on_its_side_is_turned_upright(tmp_path: Path) -> None:
    pixels = np.zeros((20, 20, 3), np.uint8)
    pixels[:, :10, 0], pixels[:, 10:, 1] = 200, 100
    picture = Image.fromarray(pixels)
    exif = picture.getexif()
    exif[ExifTags.Base.Orientation] = 6  # its left is its top
    picture.save(tmp_path / "camera.png", exif=exif)
    still = read_still(tmp_path / "camera.png", (20, 20))
    assert still[:, 4, 10].tolist() == [200, 0, 0] and still[:, 15, 10].tolist() == [0, 100, 0]


@pytest.mark.parametrize(("name", "kind"), [("a.png", np.uint16), ("a.tif", np.int32), ("b.tif", np.float32)])
def test_greys_of_more_than_8_bits_are_refused(name: str, kind: type[np.generic], tmp_path: Path) -> None:
    """They would come out white."""
    Image.fromarray(np.linspace(0, 65_535, 400).reshape(20, 20).astype(kind)).save(tmp_path / name)
    with pytest.raises(InputError, match=r"more than 8 bits, .*: convert it to JPEG or PNG of 8 bits"):
        read_still(tmp_path / name, (20, 20))
    Image.fromarray(np.full((20, 20), 100, np.uint8)).save(tmp_path / "grey.png")
    assert (read_still(tmp_path / "grey.png", (20, 20)) == 100).all()


def lively(sdfa: SDFA) -> SDFA:
    """With larger weights: untrained, whatever it hears comes out one grey, to a level."""
    for parameter in sdfa.parameters():
        if parameter.dim() > 1:
            parameter.data *= 3
    return sdfa.eval()


def test_frames_in_portions_are_those_of_one_pass() -> None:
    torch.manual_seed(0)
    sdfa = lively(SDFA([32, 24], 0.125, speech_dim=16, code_dim=8))
    still = torch.randint(0, 256, (3, 32, 24), dtype=torch.uint8)
    speech = speech_like(1.0)
    whole = generate_sdfa_clip(sdfa, speech, 25, still)
    pieces = torch.cat(list(SDFAStream(sdfa, still, chunk_frames=4).frames(speech.split(1000))))
    assert whole.shape == (25, 3, 32, 24)
    assert (whole.int() - pieces.int()).abs().max() <= 1
    assert (whole[1:].int() - whole[:-1].int()).abs().max() > 20  # there is something to compare


def test_who_is_seen_in_the_picture_and_heard_in_all_of_the_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []

    def watched(network: torch.nn.Module, name: str) -> None:
        called = getattr(network, name)

        def watch(what: torch.Tensor) -> Any:
            seen.append(what)
            return called(what)

        monkeypatch.setattr(network, name, watch)

    sdfa = SDFA(32, 0.125, speech_dim=16, code_dim=8)
    watched(sdfa, "identify")
    still = torch.zeros(3, 32, 32, dtype=torch.uint8)
    still[:, 16:] = 255
    generate_sdfa_clip(sdfa, speech_like(0.2), 5, still)
    assert (seen[0][0, :, :16] == -1).all() and (seen[0][0, :, 16:] == 1).all()

    voice = VoiceEncoder(12, 1 / 16, hidden=8, seconds=1.5)
    watched(voice, "forward")
    speech = speech_like(2.4)
    generate_sdfa_clip(SDFA(32, 0.125, 16, 8, voice_dim=12), speech, 60, voice=voice)
    assert torch.equal(seen[1], speech[None])


def test_asked_for_frames() -> None:
    """Longer speech is cut and shorter followed by silence."""
    torch.manual_seed(0)
    sdfa = lively(SDFA(32, 0.125, speech_dim=16, code_dim=8))
    still = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8)
    speech = speech_like(1.0)
    for num_frames in (10, 40):
        made = generate_sdfa_clip(sdfa, speech, num_frames, still)
        fitted = torch.cat([speech, torch.zeros(16_000)])[: num_frames * 640]
        assert torch.equal(made, torch.cat(list(SDFAStream(sdfa, still).frames([fitted]))))
        assert len(made) == num_frames


def test_samples_of_a_wav_file_batches_and_no_frame_are_refused() -> None:
    sdfa, still = SDFA(32, 0.125, 16, 8), torch.zeros(3, 32, 32, dtype=torch.uint8)
    speech = speech_like(1.0)
    samples = (speech * 32767).to(torch.int16)
    for num_frames in (25, None):
        with pytest.raises(InputError, match=r"got int16 \(16000,\): .*divide int16 samples by 32768"):
            list(SDFAStream(sdfa, still).frames([samples], num_frames))
        with pytest.raises(InputError, match=r"got float32 \(1, 16000\): give one clip"):
            list(SDFAStream(sdfa, still).frames([speech[None]], num_frames))
    with pytest.raises(InputError, match="num_frames must be at least 1, got 0"):
        generate_sdfa_clip(sdfa, speech, 0, still)
    with pytest.raises(InputError, match="no sample"):
        list(SDFAStream(sdfa, still).frames([]))


def test_a_clip_amid_a_fit_is_the_one_that_export_makes() -> None:
    """In training mode, which stays, and in a trainer's mixed precision."""
    torch.manual_seed(0)
    sdfa = lively(SDFA(32, 0.125, speech_dim=16, code_dim=8, voice_dim=12))
    voice = VoiceEncoder(12, 1 / 16, hidden=8, seconds=1.5).eval()
    speech = speech_like(1.0)
    exported = torch.cat(list(SDFAStream(sdfa, voice=voice).frames([speech])))
    sdfa.train()
    voice.train()
    with torch.autocast("cpu", torch.bfloat16):
        made = generate_sdfa_clip(sdfa, speech, 25, voice=voice)
    assert torch.equal(made, exported) and not made.requires_grad
    assert all(module.training for network in (sdfa, voice) for module in network.modules())
