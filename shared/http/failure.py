"""How asking a provider can fail; says neither URLs nor parameters, for they hold what must stay
private.
"""

from datetime import timedelta
from enum import StrEnum

from shared.errors import Unavailable


class FailureKind(StrEnum):
    TIMEOUT = "TIMEOUT"  # No whole answer within the bound of the call.
    CONNECT = "CONNECT"  # No connection, or it broke before an answer began.
    RATE_LIMITED = "RATE_LIMITED"  # 429, or a 429 still remembered.
    BANNED = "BANNED"  # 418, or one still remembered.
    REFUSED = "REFUSED"  # 401, 403, 451: asking again will not help.
    SERVER_ERROR = "SERVER_ERROR"  # 5xx.
    BAD_STATUS = "BAD_STATUS"  # Any other status outside 2xx.
    BAD_BODY = "BAD_BODY"  # Not the JSON that was asked for.
    NOT_FOUND = "NOT_FOUND"  # 404.
    CIRCUIT_OPEN = "CIRCUIT_OPEN"  # Too many failures in a row: nothing was asked.


class ProviderFailure(Unavailable):
    """`kind` is what happened, `status` the HTTP status if one came, `body` its JSON if it had one.

    Uncaught it is Unavailable with the reason PROVIDER_<kind>. `body` is the provider's word: never
    log it.
    """

    def __init__(
        self,
        kind: FailureKind | str,
        message: str,
        *,
        status: int | None = None,
        retry_after: timedelta | None = None,
        body: object = None,
    ) -> None:
        self.kind = FailureKind(kind)
        super().__init__(f"PROVIDER_{self.kind}", message, retry_after=retry_after)
        self.status = status
        self.body = body
