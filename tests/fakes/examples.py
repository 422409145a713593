"""How many examples a property is tried with: few by `make test`, all of them by `make slow`."""

from __future__ import annotations

import hypothesis

_FULL = 100
_QUICK = 25


def register() -> None:
    """Both profiles; the quick one is in force unless --hypothesis-profile says otherwise. A busy
    machine is slow and breaks no property.
    """
    for name, count in (("full", _FULL), ("quick", _QUICK)):
        hypothesis.settings.register_profile(name, deadline=None, max_examples=count)
    hypothesis.settings.load_profile("quick")


def share_of(count: int) -> int:
    """Of so many examples those that this run tries, for a property that names its number."""
    return max(1, count * hypothesis.settings().max_examples // _FULL)
