"""GraphQL over HTTP: queries with their inputs written in, errors that come with HTTP 200."""

from __future__ import annotations

import json
from collections.abc import Mapping

from services.withdrawals.sources.reading import at, bad_body, masked
from shared.http import ProviderHttp

Input = Mapping[str, object]


class GraphQl:
    """Asks one address. Inputs are written into the query, so that no name of a type is needed."""

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http

    async def ask(self, query: str) -> object:
        """What lies in `data`. Raises ProviderFailure; BAD_BODY with the provider's words where it
        names an error, whatever the status.
        """
        body = (await self._http.post_json("", {"query": query})).body
        errors = at(body, "errors")
        if errors:
            first = at(errors[0], "message") if isinstance(errors, list) else None
            words = masked(first) if isinstance(first, str) else "no reason"
            raise bad_body(self._http.name, f"an error: {words}")
        data = at(body, "data")
        if not isinstance(data, Mapping):
            raise bad_body(self._http.name, "no data")
        return data


def written_input(value: object) -> str:
    """A value as GraphQL writes it: texts as JSON, names of fields bare."""
    if isinstance(value, Mapping):
        fields = ", ".join(f"{name}: {written_input(one)}" for name, one in value.items())
        return f"{{{fields}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(written_input, value))}]"
    return json.dumps(value)
