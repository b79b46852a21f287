"""Names of files that are made of a clip's id."""

import hashlib
import re

_LONGEST = 150
"""Bytes; file systems take 255, of which endings, and the names of files half written, need some."""


def clip_file_name(clip_id: str) -> str:
    """The id with an underscore for what is no letter, digit, dot or hyphen.

    Of one that is too long, the beginning, and a hash that tells it from those that begin alike.
    """
    name = re.sub(r"[^\w.-]+", "_", clip_id).lstrip(".") or "clip"
    if len(name.encode()) <= _LONGEST:
        return name
    mark = "-" + hashlib.sha256(clip_id.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return name.encode()[: _LONGEST - len(mark)].decode(errors="ignore") + mark
