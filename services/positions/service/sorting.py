"""Orders of lists as people write them: a field, optionally followed by " desc"."""

from collections.abc import Sequence

from shared.names import choose


def ordered(order_by: str, known: Sequence[str]) -> tuple[str, bool]:
    """The field of `known`, and whether the largest comes first. Raises UNKNOWN_NAME."""
    field, _, direction = order_by.strip().partition(" ")
    name = next((name for name in known if name == field), None) or choose(
        field, known, field="order_by"
    )
    way = choose(direction.strip() or "asc", ("asc", "desc"), field="order_by")
    return name, way == "desc"
