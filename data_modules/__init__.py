"""Data: preparing, caching and serving talking-face clips; the kinds of corpora; a synthetic corpus.

The data modules are imported on first use: `s2v prepare` and its workers need no Lightning.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data_modules.crema_d import CremaD
    from data_modules.synthetic_faces import SyntheticFaces
    from data_modules.talking_face import TalkingFaceDataModule
    from data_modules.video_folder import VideoFolder
    from data_modules.voxceleb2 import VoxCeleb2

__all__ = ["CremaD", "SyntheticFaces", "TalkingFaceDataModule", "VideoFolder", "VoxCeleb2"]

_HOMES = {
    "CremaD": "crema_d",
    "SyntheticFaces": "synthetic_faces",
    "TalkingFaceDataModule": "talking_face",
    "VideoFolder": "video_folder",
    "VoxCeleb2": "voxceleb2",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
