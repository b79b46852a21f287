"""What glibc does with freed memory: give it back to the system, or keep it for the next tensors.

A scored clip leaves the heap full of holes, which glibc keeps and rarely finds a use for: with every clip's tensors of
many sizes the process grew by hundreds of kilobytes though next to nothing was kept. Training and generation are the
other way round: every step, or every few frames, take the same tensors again, which glibc gives back to the kernel and
gets as fresh pages each time.
"""

import ctypes
import os
import platform
from functools import lru_cache

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""mallopt's: free bytes at the heap's end that go back to the kernel; bytes from which a block gets its own pages."""
OWN_SETTINGS = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")
"""Environment variables by which glibc takes the same settings."""
KEPT_BYTES = 256 * 2**20
LARGEST_IN_HEAP = 32 * 2**20
"""The most that mallopt takes for M_MMAP_THRESHOLD."""


def give_back_freed_memory() -> bool:
    """Return the heap's free pages to the system, a millisecond or two; what is in use stays where it is.

    Between clips rather than by a lower M_MMAP_THRESHOLD, which makes every tensor fresh pages: the kernel's part of
    the time was 1.5 to 5 times as long with it, and the peak grew faster (docs/performance.md).

    Returns:
        False where nothing could be returned: the C library isn't glibc, or has no free page.
    """
    library = _glibc()
    return library is not None and library.malloc_trim(0) == 1


def keep_freed_memory() -> bool:
    """Have this process keep up to 256 MiB that it frees, and tensors of up to 32 MiB in the heap, from now on.

    For a process that does the same again and again: a fifth of its time was the kernel's, which cleared pages that had
    been given back a moment before.

    Returns:
        False where the C library isn't glibc or refuses, or the environment has settings of its own: nothing has
        changed then.
    """
    library = _glibc()
    return (
        library is not None
        and not any(name in os.environ for name in OWN_SETTINGS)
        and library.mallopt(M_MMAP_THRESHOLD, LARGEST_IN_HEAP) == 1
        and library.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES) == 1
    )


@lru_cache(maxsize=1)
def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
