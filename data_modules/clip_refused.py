"""The one way a clip is turned away, and what the manifest then says of it."""

from data_modules.clip_manifest import ManifestRow
from data_modules.layouts import FoundClip


class ClipRefused(Exception):
    """This clip cannot be used; the message is the `reason` of its manifest row.

    Args:
        reason: see above.
        again: the fault may not be the clip's (a disk that fails, rights that are missing): the next run tries it anew.
    """

    def __init__(self, reason: str, *, again: bool = False) -> None:
        super().__init__(reason)
        self.again = again


def refused_row(clip: FoundClip, reason: str = "") -> ManifestRow:
    """The row of a clip that is not prepared, with all that its layout says of it."""
    return ManifestRow(
        clip.clip_id,
        "refused",
        reason,
        source=clip.video,
        speaker=clip.speaker,
        emotion=clip.emotion,
        sentence=clip.sentence,
        official_split=clip.official_split,
    )


def kind_of_reason(reason: str) -> str:
    """A reason without its particulars, to count by."""
    for kind in (
        "no consent",
        "no audio track",
        "no video stream",
        "zero-byte",
        "silent",
        "too short",
        "too long",
        "too large",
        "truncated",
        "damaged",
        "no face",
        "audio and video differ",
        "no answer",
        "Git-LFS pointer",
        "cannot be opened",
        "cannot be decoded",
        "cannot be read",
        "decoder failed",
        "no file",
        "no regular file",
        "decodes",
    ):
        if kind in reason:
            return kind
    return reason.split(":")[0]
