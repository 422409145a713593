"""Who asks over HTTP, and what they may: a token, a person our proxy names, or who sits here.

On loopback nobody is asked until the first token is made; anywhere else everybody is, unless a
proxy in front has done it.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Literal

from starlette.requests import Request

from services.gateway.failures import Refused
from shared.backoff import backoff_seconds
from shared.clock import Clock
from shared.errors import Exhausted, Unauthenticated
from shared.tokens import Scope, Token, TokenFile

COOKIE = "sonic_token"
FIX = "send `Authorization: Bearer TOKEN`, or sign in at /sign-in; `sonic token create` makes one"
# Wrong tokens of one address until it waits, and for how long: twice as long each time.
_FREE_ATTEMPTS = 5
_MOST_WAIT_SECONDS = 60.0
_MOST_CLIENTS = 1_024


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever asks, and by which way it was seen. `name` is empty for the person at this machine,
    of whom nothing is asked.
    """

    name: str
    scope: Scope
    way: Literal["machine", "proxy", "token", "cookie"]

    def require(self, scope: Scope, what: str) -> None:
        """Refused 403 SCOPE_TOO_SMALL when this caller may not."""
        if self.scope < scope:
            raise Refused(
                403,
                "SCOPE_TOO_SMALL",
                f"{what} needs a token of scope {scope.name.lower()}, this one is of scope "
                f"{self.scope.name.lower()}",
            )


def is_in(networks: Sequence[IPv4Network | IPv6Network], host: str) -> bool:
    """Whether this address is in one of them; what is no address is in none."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    # What listens on both kinds of addresses sees the old kind written as the new one.
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in network for network in networks)


@dataclass(frozen=True, slots=True)
class TrustedProxy:
    """A proxy that signs people in and names them in a header; believed from these networks."""

    networks: Sequence[IPv4Network | IPv6Network]
    header: str
    scope: Scope

    def is_at(self, host: str) -> bool:
        """Whether this address is the proxy's."""
        return is_in(self.networks, host)

    def person(self, request: Request) -> str:
        """Whom it names; empty when it is not the proxy that asks, or names nobody."""
        if not self.is_at(request.client.host if request.client else ""):
            return ""
        named = request.headers.getlist(self.header)
        # Of two, one may be what the person wrote and the proxy let pass.
        return named[0].strip()[:128] if len(named) == 1 else ""


class Access:
    """`is_open`: without a token in the file everybody may do everything, as who can reach the
    address is the person at this machine or has been let in by a proxy.
    """

    def __init__(
        self, tokens: TokenFile | None, clock: Clock, proxy: TrustedProxy | None, *, is_open: bool
    ) -> None:
        self._tokens = tokens
        self._proxy = proxy
        self._is_open = is_open
        self._attempts = Attempts(clock)

    @property
    def is_asked(self) -> bool:
        """Whether callers must show who they are. Raises Unavailable TOKENS_UNREADABLE."""
        return not self._is_open or self._proxy is not None or self._has_tokens

    @property
    def _has_tokens(self) -> bool:
        return self._tokens is not None and bool(self._tokens.tokens())

    def admit(self, request: Request, client: str) -> Caller:
        """Refused 401 NOT_SIGNED_IN or BAD_TOKEN, Exhausted TOO_MANY_ATTEMPTS."""
        if not self.is_asked:
            return Caller("", Scope.ADMIN, "machine")
        if self._proxy is not None and (person := self._proxy.person(request)):
            return Caller(person, self._proxy.scope, "proxy")
        given, way = presented(request)
        return self._caller_of(given, way, client)

    def admit_by(self, authorization: str, client: str) -> Caller:
        """As admit(), by that header alone: of whoever comes by gRPC."""
        if not self.is_asked:
            return Caller("", Scope.ADMIN, "machine")
        return self._caller_of(_of_header(authorization), "token", client)

    def _caller_of(self, given: str, way: Literal["token", "cookie"], client: str) -> Caller:
        if not given:
            raise Refused(
                401, "NOT_SIGNED_IN", FIX, headers={"WWW-Authenticate": 'Bearer realm="sonic"'}
            )
        token = self.check(given, client)
        return Caller(token.name, token.scope, way)

    def refuse_when_over(self, request: Request) -> None:
        """Of whoever was let in before: Unauthenticated TOKEN_ENDED once that is over."""
        if not self.is_asked or (self._proxy is not None and self._proxy.person(request)):
            return
        self._refuse_when_unknown(presented(request)[0])

    def refuse_when_ended(self, authorization: str) -> None:
        """As refuse_when_over(), of whoever comes by gRPC."""
        if self.is_asked:
            self._refuse_when_unknown(_of_header(authorization))

    def _refuse_when_unknown(self, given: str) -> None:
        if self._tokens is None or self._tokens.find(given) is None:
            raise Unauthenticated("TOKEN_ENDED", f"who asked for this may no longer; {FIX}")

    def check(self, given: str, client: str) -> Token:
        """The token that this is. A right one never waits for the wrong ones of others."""
        token = self._tokens.find(given) if self._tokens is not None else None
        if token is None:
            self._attempts.failed(client)
            raise Refused(
                401,
                "BAD_TOKEN",
                f"this token is not known, expired or revoked; {FIX}",
                headers={"WWW-Authenticate": 'Bearer realm="sonic", error="invalid_token"'},
            )
        return token


class Attempts:
    """Slows down whoever tries tokens, by address."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # Failures, and until when the next one is refused without a look.
        self._of: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def failed(self, client: str) -> None:
        """Counts one. Exhausted TOO_MANY_ATTEMPTS when it came before its time."""
        now = self._clock.monotonic()
        count, until = self._of.pop(client, (0, 0.0))
        early = now < until
        if not early:
            count = 1 if now > until + 10 * _MOST_WAIT_SECONDS else count + 1
            beyond = count - _FREE_ATTEMPTS
            wait_seconds = backoff_seconds(beyond + 1, 1.0, _MOST_WAIT_SECONDS)
            until = now + (wait_seconds if beyond >= 0 else 0.0)
        self._of[client] = (count, until)
        if len(self._of) > _MOST_CLIENTS:
            self._of.popitem(last=False)
        if early:
            raise Exhausted(
                "TOO_MANY_ATTEMPTS",
                "too many wrong tokens from this address",
                retry_after=timedelta(seconds=math.ceil(until - now)),
            )


def presented(request: Request) -> tuple[str, Literal["token", "cookie"]]:
    """The token a request shows: as Bearer, as the password of Basic, or in the cookie; empty
    without one.
    """
    authorization = request.headers.get("authorization", "")
    if authorization.partition(" ")[0].lower() in {"bearer", "basic"}:
        return _of_header(authorization), "token"
    return request.cookies.get(COOKIE, ""), "cookie"


def _of_header(authorization: str) -> str:
    kind, _, value = authorization.partition(" ")
    match kind.lower():
        case "bearer":
            return value.strip()
        case "basic":
            return _password(value.strip())
    return ""


def _password(encoded: str) -> str:
    try:
        text = base64.b64decode(encoded, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return text.partition(":")[2]
