"""A provider whose one route, POST /info, answers by the type in its body; its accounts are
ordinary ones.
"""

import json
from collections.abc import Mapping
from dataclasses import replace

from tests.fakes.http_provider import Asked, HttpProvider, Scripted

# An ordinary account: perps apart from spot, one dex, no subaccount, nobody's agent.
ORDINARY: Mapping[str, object] = {
    "userAbstraction": "default",
    "userRole": {"role": "user"},
    "perpDexs": [None],
    "subAccounts2": None,
    "spotClearinghouseState": {"balances": []},
}


class InfoProvider(HttpProvider):
    """`answer("POST /info/<type>", ...)`; with a user also `POST /info/<type>/<user>`, which goes
    first; with a dex `POST /info/<type>:<dex>`. What is not scripted of an account is ORDINARY.
    """

    def _choose(self, request: Asked) -> Scripted:
        sent = json.loads(request.body or b"{}")
        kind = sent.get("type")
        general = f"{request.path}/{kind}" + (f":{sent['dex']}" if "dex" in sent else "")
        own = f"{general}/{sent.get('user')}"
        path = own if f"{request.method} {own}" in self._script else general
        if kind in ORDINARY and f"{request.method} {path}" not in self._script:
            plain = json.dumps(ORDINARY[kind]).encode()
            json_type = {"content-type": "application/json"}
            return Scripted(200, plain, json_type, {}, None, 0.0, frozenset(), 0.0)
        return super()._choose(replace(request, path=path))

    def types(self) -> list[str]:
        """The types that were asked for, in order, but for questions about the account."""
        asked = [str(json.loads(request.body)["type"]) for request in self.requests]
        return [kind for kind in asked if kind not in ORDINARY]
