"""Opening media files from strangers: local, self-contained containers only, through PyAV."""

from pathlib import Path

import av
import av.container
from av.error import FFmpegError

from data_modules.clip_refused import ClipRefused

# Playlists and scripts (HLS, DASH, concat, SDP) are formats too: they would open other files, or the network.
CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,flv,avi,mpegts,mpeg,mpegvideo,asf,ogg,wav,w64,aiff,flac,"
    "mp3,aac,h264,hevc,m4v,rm,dv,mxf,gif,nut,ac3,eac3,amr,ape,au,caf,tta,wv"
)
LOCAL_MEDIA_ONLY = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
"""FFmpeg's options with which a file from a stranger makes it open no other file and no address."""


def open_container(path: Path) -> av.container.InputContainer:
    """Opens a media file for reading.

    Raises:
        ClipRefused: zero bytes, not to be read, not a media file, damaged beyond opening, or a playlist.
    """
    if not path.is_file():
        raise ClipRefused(f"no file {path.name}")
    if path.stat().st_size == 0:
        raise ClipRefused(f"zero-byte file {path.name}")
    try:
        with path.open("rb") as stream:
            if stream.read(32).startswith(b"version https://git-lfs"):
                raise ClipRefused(
                    f"{path.name} is a Git-LFS pointer, not the file: run `git lfs pull` in its repository"
                )
        return av.open(
            str(path.absolute()),
            metadata_errors="replace",
            timeout=30.0,
            options=LOCAL_MEDIA_ONLY,
        )
    except (FFmpegError, ValueError) as error:
        raise ClipRefused(f"{path.name} cannot be opened: {plain(error)}") from error
    except OSError as error:
        raise ClipRefused(f"{path.name} cannot be opened: {plain(error)}", again=True) from error


def promised_seconds(path: Path) -> float | None:
    """How long a media file is by its header; None where that does not say it, or can't be read."""
    try:
        with open_container(path) as container:
            return container.duration / av.time_base if container.duration else None
    except ClipRefused:
        return None


def plain(error: BaseException) -> str:
    """The error's own words on one line, without the path FFmpeg adds."""
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(words).split())[:200]
