"""How the C library handles memory that is freed."""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names in glibc's malloc.h


def keep_freed_memory() -> None:
    """Keep up to 64 MiB of freed memory in this process, where glibc would hand it back and clear it anew each time.

    Work that goes through arrays of some 100 kB, one after the other, spends a tenth of its time on that. Other
    C libraries are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, 32 << 20)
        mallopt(_TRIM_THRESHOLD, 64 << 20)
