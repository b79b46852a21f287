"""Hearing what native decoders say on stderr: for decord the only sign that it patched over damage.

FFmpeg conceals what it cannot decode, by copying from earlier frames, and decord serves the result like any
other frame. The message is all that tells a guessed picture from a true one.
"""

import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_DAMAGE = re.compile(
    r"error while decoding|decode_slice_header error|invalid nal|error splitting|concealing|"
    r"corrupt|damaged|error at mb|illegal (ac|dc)|ac-tex|missing picture|partial file",
    re.IGNORECASE,
)

_LISTENING = threading.RLock()
"""File descriptor 2 is the whole process's: two threads that put their own files there hear each other's decoders."""


@dataclass
class Complaints:
    text: str = ""

    @property
    def damage(self) -> str:
        """The first line that speaks of damage; empty where there is none."""
        for line in self.text.splitlines():
            if _DAMAGE.search(line):
                return " ".join(line.split("]")[-1].split())[:120]
        return ""


@contextmanager
def complaints() -> Iterator[Complaints]:
    """Collects what anything in this process writes to file descriptor 2 meanwhile.

    One thread at a time: the others wait. Not to be held over a `yield` of frames, where they would wait for long.
    """
    heard = Complaints()
    with _LISTENING, tempfile.TemporaryFile() as stream:
        sys.stderr.flush()
        kept = os.dup(2)
        os.dup2(stream.fileno(), 2)
        try:
            yield heard
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            stream.seek(0)
            heard.text = stream.read(1 << 16).decode("utf-8", "replace")
