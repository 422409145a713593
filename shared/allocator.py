"""How this process holds memory that it has freed: little of it. Elsewhere than on glibc nothing is
changed.
"""

from __future__ import annotations

import ctypes

_ARENA_MAX = -8  # of glibc's malloc.h


def use_one_heap() -> None:
    """By itself glibc gives each thread a heap of its own: work that is handed to threads keeps as
    much memory in each of them. To be called before there are threads.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, 1)


def give_back() -> None:
    """What is free goes back to the system: after work that does not come again soon. Takes
    milliseconds, and what is needed next is fetched anew.

    A fixed limit above which pieces go back at once (M_MMAP_THRESHOLD) was tried: it made each pass
    over columns half as slow again.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
