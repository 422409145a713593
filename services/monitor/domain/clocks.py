"""Times that a clock noted which was ahead and was set right since."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

# The clocks of two replicas differ by less.
CLOCKS_APART: Final = timedelta(minutes=1)


def is_ahead(moment: datetime, now: datetime) -> bool:
    """Whether it is further ahead than two clocks are apart: when it was is not known."""
    return moment - now > CLOCKS_APART
