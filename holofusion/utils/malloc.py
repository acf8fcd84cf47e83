"""Keep freed memory in the process (glibc malloc), so that each training step does not fetch it from the kernel again."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h


def keep_freed_memory() -> None:
    """Let glibc reuse large blocks instead of returning them to the kernel.

    A training step allocates the same large tensors again and again; fetching them from the kernel each time, page by
    page, is a good part of its time. Does nothing where there is no glibc.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        # larger thresholds are refused by some versions; a refused one must not leave the other standing
        if mallopt(M_MMAP_THRESHOLD, 2**30) or mallopt(M_MMAP_THRESHOLD, 2**25):
            mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
