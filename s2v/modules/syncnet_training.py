"""SyncNet training by multi-way matching of lips and speech."""

import math
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from s2v.batch import SAMPLES_PER_FRAME, TalkingFaceBatch
from s2v.errors import InputError
from s2v.losses.contrastive import multi_way_matching
from s2v.metrics.lip_sync import FALSE_FROM, VSHIFT, sync_values
from s2v.metrics.sync_confidence import MIN_FRAMES
from s2v.models.lip_speech_network import LipSpeechNetwork
from s2v.modules.composer_checks import check_frame_rate
from s2v.modules.hyperparameters import PlainHyperparameters
from s2v.modules.number_check import check_not_negative
from s2v.modules.one_cycle import with_one_cycle
from s2v.modules.shared_validation import SharedValidation

LEAST_FRAMES = MIN_FRAMES + FALSE_FROM
"""Of a window: validation compares its last instant with its first one's speech."""

_CLIP_VERDICTS = ("sync_within_one", "sync_prefers_true", "sync_prefers_true_pairs")


class SyncNetTraining(PlainHyperparameters, SharedValidation):
    """Each window of five frames must find its own speech among the clip's other instants.

    The data module must serve whole windows (`num_frames == window_frames`). Speech features are 10 ms apart and
    frames 40 ms, so lip window v belongs to steps 4v .. 4v + 19, as in the published evaluation.

    Args:
        syncnet: the network that is trained: `SyncNet`, or for little data `MouthSyncNet`.
        lr: peak learning rate of AdamW.
        weight_decay: of AdamW.
        shift: lips are moved at random by up to this share of the picture, alike within a clip.
        light: brightness varies at random by up to this share.
        flip: mirror half of the clips.
        tolerance: windows within this many frames of the true one count as found.
    """

    def __init__(
        self,
        syncnet: LipSpeechNetwork,
        lr: float = 1e-3,
        weight_decay: float = 1e-4,
        shift: float = 0.04,
        light: float = 0.1,
        flip: bool = False,
        tolerance: int = 1,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        check_not_negative({"lr": lr, "weight_decay": weight_decay, "shift": shift, "light": light})
        check_not_negative({"tolerance": tolerance})
        self.syncnet = syncnet
        self.lr = lr
        self.weight_decay = weight_decay
        self.shift = shift
        self.light = light
        self.flip = flip
        self.tolerance = tolerance
        # unscaled, the first steps' losses are far above chance
        self.log_scale = torch.nn.Parameter(torch.tensor(math.log(syncnet.initial_scale)))
        self.train()  # Lightning leaves a module in the modes it comes in; loaded weights come in eval mode

    def setup(self, stage: str) -> None:
        """Check the data's rate, SyncNet's windows of speech belong to frames of 40 ms, and a fit's windows.

        Raises:
            InputError: the frames are of another rate, or a window has too few of them.
        """
        self.check_data(stage, getattr(self.trainer, "datamodule", None))

    def check_data(self, stage: str, data: Any) -> None:
        """The same for `s2v.training.early_check`, which asks before loggers begin.

        Raises:
            InputError: the frames are of another rate, or a window has too few of them.
        """
        check_frame_rate(data)
        served = getattr(data, "window_frames", None)
        if stage == "fit" and served is not None and served < LEAST_FRAMES:
            raise InputError(
                f"SyncNet tells speech from speech {FALSE_FROM} frames away, which takes {LEAST_FRAMES} or more: "
                f"raise data.init_args.window_frames from {served}"
            )

    def forward(self, frames: Tensor, speech: Tensor) -> tuple[Tensor, Tensor]:
        """Embed every lip window and its speech.

        Args:
            frames: (B, T, 3, H, W) uint8 RGB at 25 fps.
            speech: (B, T * 640) in [-1, 1] at 16 kHz.

        Returns:
            lips and speech, each (B, P, D), P = T - 5 windows.

        Raises:
            InputError: pictures and speech are not of the same length, or too short for one window.
        """
        batch, count = frames.shape[:2]
        if speech.shape[1] != count * SAMPLES_PER_FRAME:
            raise InputError(
                f"SyncNet matches lips with all of their speech, but {count} pictures came with speech of "
                f"{speech.shape[1] / SAMPLES_PER_FRAME:g} frames: set data.init_args.num_frames to window_frames"
            )
        if count < MIN_FRAMES:
            raise InputError(
                f"SyncNet matches lips with speech in {MIN_FRAMES} frames or more, but a clip has {count}"
            )
        faces = self.syncnet.prepare_lips(rearrange(frames, "b t c h w -> (b t) c h w"))
        if self.training:
            faces = self.augment(faces, batch)
        lips = self.syncnet.embed_lip_tracks(rearrange(faces, "(b t) c h w -> b t c h w", b=batch))
        sounds = self.syncnet.embed_speech_tracks(self.syncnet.speech_features(speech * 32768.0))
        windows = min(lips.shape[1], sounds.shape[1])
        return lips[:, :windows], sounds[:, :windows]

    def augment(self, faces: Tensor, clips: int) -> Tensor:
        """Move, light and mirror the pictures at random, alike for all frames of a clip. (B*T, 3, S, S) in 0..255."""
        frames = faces.shape[0] // clips
        reach = round(self.shift * faces.shape[-1])
        moved = [
            torch.roll(clip, tuple(torch.randint(-reach, reach + 1, (2,)).tolist()), dims=(2, 3))
            for clip in faces.split(frames)
        ]
        if self.flip:
            moved = [clip.flip(-1) if torch.rand(()) < 0.5 else clip for clip in moved]
        gain = 1 + (torch.rand(clips, 1, 1, 1, device=faces.device) * 2 - 1) * self.light
        return (torch.cat(moved) * gain.repeat_interleave(frames, dim=0)).clamp(0, 255)

    def _step(self, batch: TalkingFaceBatch, stage: str) -> tuple[Tensor, Tensor, Tensor]:
        """The loss, and the embeddings (B, P, D) of lips and speech."""
        lips, speech = self(batch["frames"], batch["speech"])
        loss = multi_way_matching(lips, speech, self.log_scale.exp())
        size, windows = lips.shape[:2]
        with torch.no_grad():
            distances = torch.cdist(lips.float(), speech.float())
            instants = torch.arange(windows, device=lips.device)
            away = (distances.argmin(dim=2) - instants).abs()
            true = distances.diagonal(dim1=1, dim2=2).unsqueeze(2)
            far = (instants[:, None] - instants[None, :]).abs()
            comparable = (far >= FALSE_FROM) & (far <= VSHIFT)
            prefers = (true < distances)[:, comparable].float().mean()
        self.log(f"{stage}/matching", loss, prog_bar=True, batch_size=size)
        self.log(f"{stage}/matching_chance", math.log(windows), batch_size=size)
        self.log(
            f"{stage}/within_tolerance",
            (away <= self.tolerance).float().mean(),
            prog_bar=True,
            batch_size=size,
        )
        if comparable.any() or stage != "test":  # a short clip's nan would be that of the whole test
            self.log(f"{stage}/prefers_true", prefers, prog_bar=True, batch_size=size)
        return loss, lips, speech

    def training_step(self, batch: TalkingFaceBatch, batch_idx: int) -> Tensor:
        """One step on a batch of whole windows."""
        return self._step(batch, "train")[0]

    def validation_step(self, batch: TalkingFaceBatch, batch_idx: int) -> None:
        """Held-out clips: the loss, windows found, and true speech against speech shifted by 5 to 15 frames."""
        self._step(batch, "val")

    def test_step(self, batch: TalkingFaceBatch, batch_idx: int) -> None:
        """The same on whole test clips, and a report's verdicts on each: see `sync_values`."""
        _, lips, speech = self._step(batch, "test")
        for clip in zip(lips, speech, strict=True):
            for name, value in sync_values(*clip).items():
                if name in _CLIP_VERDICTS and not math.isnan(value):
                    self.log(f"test/{name}", value, batch_size=1)

    def configure_optimizers(self) -> Any:
        """AdamW on all parameters, warmed up and annealed over the fit."""
        return with_one_cycle(
            self, torch.optim.AdamW(self.parameters(), lr=self.lr, weight_decay=self.weight_decay), self.lr
        )
