"""A provider whose one route, POST /info, answers by the type in its body; knows no answer by itself."""

import json
from dataclasses import replace

from tests.fakes.http_provider import Asked, HttpProvider, Scripted


class InfoProvider(HttpProvider):
    """`answer("POST /info/<type>", ...)`; with a user also `POST /info/<type>/<user>`, which goes first."""

    def _choose(self, request: Asked) -> Scripted:
        sent = json.loads(request.body or b"{}")
        general = f"{request.path}/{sent.get('type')}"
        own = f"{general}/{sent.get('user')}"
        path = own if f"{request.method} {own}" in self._script else general
        return super()._choose(replace(request, path=path))

    def types(self) -> list[str]:
        """The types that were asked for, in order."""
        return [str(json.loads(request.body)["type"]) for request in self.requests]
