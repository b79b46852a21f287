"""The one way a clip is turned away, and what the manifest then says of it."""

from data_modules.clip_manifest import ManifestRow
from data_modules.layouts import FoundClip


class ClipRefused(Exception):
    """This clip cannot be used; the message is the `reason` of its manifest row."""


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
