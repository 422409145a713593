"""A message for many readers, encoded for the first of them; the server sends its bytes as they
are.
"""

from collections.abc import Callable
from typing import Generic, TypeVar, cast
from weakref import WeakKeyDictionary

from google.protobuf.message import Message

N = TypeVar("N")
M = TypeVar("M", bound=Message)


class Once(Generic[N, M]):
    """Messages of a stream by what they tell; kept as long as somebody holds what they tell."""

    def __init__(self, make: Callable[[N], M]) -> None:
        self._make = make
        self._encoded: WeakKeyDictionary[N, bytes] = WeakKeyDictionary()

    def __call__(self, told: N) -> M:
        """The declared type is the one a generated stub expects; the value is bytes."""
        encoded = self._encoded.get(told)
        if encoded is None:
            encoded = self._encoded[told] = self._make(told).SerializeToString()
        return cast("M", encoded)
