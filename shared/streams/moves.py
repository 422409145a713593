"""Whether a value has moved enough since somebody last looked. Pure; one number is kept for each
name, however many come.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reference:
    """What was last looked at, and the move from it, in percent, that is news."""

    value: float
    limit_percent: float


class Moves:
    """Knows the references of one look until those of the next."""

    def __init__(self) -> None:
        self._version: object = None
        self._references: dict[str, Reference] = {}

    def renew(self, version: object, references: Mapping[str, Reference]) -> None:
        """The references of another look; of the same one they stay as they have become."""
        if version != self._version:
            self._version, self._references = version, dict(references)

    def moved(self, name: str, value: float) -> bool:
        """Whether it has moved by its limit; if so it is measured from here until the next look.
        A name that nobody looked at has not.
        """
        known = self._references.get(name)
        if known is None:
            return False
        if abs(value - known.value) * 100 < known.limit_percent * abs(known.value):
            return False
        self._references[name] = Reference(value, known.limit_percent)
        return True
