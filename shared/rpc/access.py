"""Who calls, and whether it may: by a table of methods and callers; the rest is denied."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from google.protobuf.message import Message

from shared.errors import PermissionDenied, Unauthenticated, Unavailable
from shared.service_tokens import KnownCallers

# Full method ("/package.Service/Method") or, with plus signs between, names of fields: the callers
# that may call it, or fill those fields in a request that has all of them.
Callers = Mapping[str, frozenset[str]]
# One way to learn who calls, from the call's context: a name, or "" when it does not tell. Raises
# Unauthenticated when what the caller shows is no good.
Way = Callable[[Any], str]

_FIELDS_BETWEEN = "+"


def by_certificate(context: Any) -> str:
    """The one DNS name of the certificate that is a single word: `gateway`, not
    `gateway.example.com`, and not localhost, which every one may have.
    """
    return _caller_among(tuple(context.auth_context().get("peer_dns", ())))


# By the names alone, whoever shows them: what follows from them never changes.
@lru_cache(maxsize=256)
def _caller_among(shown: tuple[bytes, ...]) -> str:
    words = (name.decode("ascii", "replace") for name in shown)
    names = {name for name in words if "." not in name and name != "localhost"}
    # Two names would be two sets of rights: whoever made that certificate meant neither.
    return names.pop() if len(names) == 1 else ""


def by_token(known: KnownCallers) -> Way:
    """By the token of a service in the one header `authorization`."""

    def caller(context: Any) -> str:
        shown = [str(text) for key, text in context.invocation_metadata() if key == "authorization"]
        try:
            return known.caller(shown[0]) if len(shown) == 1 else ""
        except (OSError, ValueError) as error:
            raise Unavailable(
                "CALLERS_UNREADABLE", f"CALLER_HASHES_FILE does not say who calls: {error}"
            ) from error

    return caller


class Access:
    """The table, and the ways to learn who calls, asked in their order."""

    def __init__(self, callers: Callers, ways: Sequence[Way]) -> None:
        self._ways = tuple(ways)
        self._callers = callers
        self._fields = {
            tuple(name.split(_FIELDS_BETWEEN)): allowed
            for name, allowed in callers.items()
            if not name.startswith("/")
        }

    def of_method(self, path: str, request_class: Any) -> MethodAccess:
        """The rules of one method, whose requests are messages of `request_class`."""
        has = getattr(getattr(request_class, "DESCRIPTOR", None), "fields_by_name", {})
        fields = {names: allowed for names, allowed in self._fields.items() if {*names} <= {*has}}
        return MethodAccess(path, self._callers.get(path, frozenset()), fields, self._ways)


class MethodAccess:
    """Who may call one method, and which of its fields are for few."""

    def __init__(
        self,
        path: str,
        allowed: frozenset[str],
        fields: Mapping[tuple[str, ...], frozenset[str]],
        ways: Sequence[Way],
    ) -> None:
        self._path = path
        self._allowed = allowed
        self._fields = fields
        self._ways = ways

    def enter(self, context: Any) -> str:
        """The caller. Raises Unauthenticated UNAUTHENTICATED, PermissionDenied
        CALLER_NOT_ALLOWED.
        """
        caller = ""
        for way in self._ways:
            if caller := way(context):
                break
        if not caller:
            raise Unauthenticated(
                "UNAUTHENTICATED",
                "Nobody is known by what this call shows: use a certificate of this system with"
                " exactly one name (a service, gateway, operator) among its DNS names; in a mesh,"
                " that one's token as `authorization: Bearer TOKEN`.",
            )
        if caller not in self._allowed:
            listed = ", ".join(sorted(self._allowed)) or "nobody"
            raise PermissionDenied(
                "CALLER_NOT_ALLOWED",
                f"{caller} may not call {self._path}; {listed} may. Call it as one of them.",
                metadata={"caller": caller},
            )
        return caller

    def check(self, caller: str, request: Message) -> None:
        """Raises PermissionDenied FIELDS_NOT_ALLOWED when fields are filled that are not this
        caller's.
        """
        for names, allowed in self._fields.items():
            filled = [name for name in names if getattr(request, name)]
            if filled and caller not in allowed:
                listed = " and ".join(names)
                raise PermissionDenied(
                    "FIELDS_NOT_ALLOWED",
                    f"{listed} are for {', '.join(sorted(allowed))} alone, not for {caller}: leave"
                    " them out, and the call is one by hand.",
                    fields=dict.fromkeys(filled, f"only {', '.join(sorted(allowed))} sends it"),
                    metadata={"caller": caller},
                )
