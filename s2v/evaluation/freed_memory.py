"""Freed memory goes back to the system, so that a test of many clips takes little more than one of a few.

A clip leaves the heap full of holes, which glibc keeps and rarely finds a use for: with every clip's tensors of many
sizes the process grew by hundreds of kilobytes though next to nothing was kept.
"""

import ctypes
import platform
from collections.abc import Callable
from functools import lru_cache


def give_back_freed_memory() -> bool:
    """Return the heap's free pages to the system, a millisecond or two; what is in use stays where it is.

    Between clips rather than by a lower M_MMAP_THRESHOLD, which makes every tensor fresh pages: the kernel's part of
    the time was five to eight times as long with it, and the peak grew faster (docs/performance.md).

    Returns:
        False where nothing could be returned: the C library isn't glibc, or has no free page.
    """
    trim = _malloc_trim()
    return trim is not None and trim(0) == 1


@lru_cache(maxsize=1)
def _malloc_trim() -> Callable[[int], int] | None:
    return ctypes.CDLL(None).malloc_trim if platform.libc_ver()[0] == "glibc" else None
