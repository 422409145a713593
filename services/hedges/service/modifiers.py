"""The modifiers: read, replaced, imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.hedges.domain import modifiers
from services.hedges.domain.modifiers import Modifiers
from services.hedges.service.hedges import check_etag
from services.hedges.service.ports import Begin


class ModifiersService:
    """Keeps one set of modifiers."""

    def __init__(self, begin: Begin, read: Begin) -> None:
        self._begin = begin
        self._read = read

    async def get(self) -> Modifiers:
        """As set, or the defaults."""
        async with self._read() as store:
            return await store.modifiers()

    async def replace(self, values: Mapping[str, object], etag: str) -> Modifiers:
        """Replace them; InvalidArgument MODIFIER_*, Conflict ETAG_MISMATCH."""
        wanted = modifiers.checked(values)
        async with self._begin() as store:
            await store.lock()
            check_etag(etag, (await store.modifiers()).etag)
            await store.set_modifiers(wanted)
        return wanted

    async def import_text(self, content: str) -> tuple[Modifiers, Sequence[str]]:
        """Replace them by those of a JSON text; also the groups that were left alone."""
        wanted, ignored = modifiers.imported(content)
        async with self._begin() as store:
            await store.set_modifiers(wanted)
        return wanted, ignored
