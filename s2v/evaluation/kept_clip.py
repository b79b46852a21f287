"""A test clip as a system made it, kept on disk so that systems can be shown side by side."""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from s2v.batch import FPS
from s2v.errors import InputError
from s2v.evaluation.contact_sheet import contact_sheet_png, strip_of
from s2v.files.clip_file_name import clip_file_name
from s2v.files.whole_file import write_whole_file
from s2v.generation.mp4_writer import write_mp4
from s2v.metrics.regional_quality import at_size

LARGEST = 128
"""Height of a picture in the figure, at most; pixels."""
_TENSORS = ("real", "generated", "speech")


@dataclass(frozen=True)
class KeptClip:
    """What a figure needs of a clip.

    Attributes:
        clip_id: its name.
        title: what the figure calls it.
        real: (T, 3, H, W) uint8.
        generated: (T, 3, H, W) uint8.
        speech: (N,) float, 16 kHz.
    """

    clip_id: str
    title: str
    real: Tensor
    generated: Tensor
    speech: Tensor

    @property
    def file_name(self) -> str:
        """Its id, fit for a file name."""
        return clip_file_name(self.clip_id)

    def write(self, folder: Path) -> Path:
        """Write `folder`/<id>.safetensors, atomically."""
        path = folder / f"{self.file_name}.safetensors"
        tensors = {name: getattr(self, name).cpu().contiguous() for name in _TENSORS}
        write_whole_file(path, save(tensors, {"clip_id": self.clip_id, "title": self.title}))
        return path


def kept_clip_files(folder: Path) -> list[Path]:
    """The kept clips in a folder, sorted, known by their headers: others' safetensors files may lie there too.

    Raises:
        InputError: a file's header can't be read, so that nobody knows what it is.
    """
    found = []
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, "pt") as file:
                about, names = file.metadata() or {}, set(file.keys())
        except (SafetensorError, OSError) as error:
            raise InputError(
                f"{path} is no kept clip, or damaged ({error}): remove it and test again"
            ) from error
        if about.keys() >= {"clip_id", "title"} and names == set(_TENSORS):
            found.append(path)
    return found


def read_kept_clips(folder: Path) -> list[KeptClip]:
    """All clips in a folder, sorted by file name; none where there is no folder.

    Raises:
        InputError: a file is damaged.
    """
    clips = []
    for path in kept_clip_files(folder):
        with safe_open(path, "pt") as file:
            about = file.metadata()
            clips.append(KeptClip(about["clip_id"], about["title"], *map(file.get_tensor, _TENSORS)))
    return clips


def compare_systems(folders: dict[str, Path], output: Path) -> list[Path]:
    """Like the paper's Fig. 3: figure.png, rows ground truth and each system at the same instants; and an mp4 a clip.

    Args:
        folders: name of a system -> its kept clips; a clip that not all have is left out.
        output: folder for figure.png and side_by_side/<clip>.mp4.

    Returns:
        The files; none where no clip is kept by all. Those of an earlier comparison are removed.
    """
    kept = {name: {clip.clip_id: clip for clip in read_kept_clips(path)} for name, path in folders.items()}
    first = next(iter(kept.values()), {})
    strips, files = [], []
    for clip_id in [clip_id for clip_id in first if all(clip_id in clips for clips in kept.values())]:
        clip = first[clip_id]
        rows = {"ground truth": clip.real} | {name: clips[clip_id].generated for name, clips in kept.items()}
        strips.append(strip_of(clip.title, rows, FPS, min(LARGEST, clip.real.shape[-2])))
        path = output / "side_by_side" / f"{clip.file_name}.mp4"
        frames = min(len(pictures) for pictures in rows.values())
        height = clip.real.shape[-2]
        rows = {name: _of_height(pictures, height) for name, pictures in rows.items()}
        write_mp4(path, [torch.cat([pictures[:frames] for pictures in rows.values()], dim=-1)], [clip.speech])
        files.append(path)
    figure = output / "figure.png"
    for stale in {figure, *(output / "side_by_side").glob("*.mp4")} - set(files):
        stale.unlink(missing_ok=True)
    if strips:
        write_whole_file(figure, contact_sheet_png(strips))
        files.insert(0, figure)
    return files


def _of_height(pictures: Tensor, height: int) -> Tensor:
    """(T, 3, H, W) -> (T, 3, height, W'), proportions kept: systems need not be of one size to stand side by side."""
    return at_size(pictures, (height, max(1, round(pictures.shape[-1] * height / pictures.shape[-2]))))
