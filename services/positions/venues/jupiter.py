"""Jupiter Perpetuals, versions 1 and 2 of its positions endpoint, as answers of one kind.

Decides whether an answer is usable and complete.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from services.positions.domain.scale import SCALE_FACTOR_LIMIT, off_scale_rows
from services.positions.domain.venue_answer import Answer, Chain, ForcedTrade, Refusal, WalletRef
from services.positions.sync.domain.holding_columns import HoldingColumns, columns_of
from services.positions.venues.jupiter_extras import BorrowRates, read_liquidations
from services.positions.venues.jupiter_parser import (
    MICRO_DOLLARS_PER_DOLLAR,
    V1,
    V2,
    Shape,
    check_holdings,
    position_key,
    read_rows,
    refusal,
)
from services.positions.venues.rows import at, bad_body, masked, worded
from services.positions.venues.venue import Built, VenueContext
from shared.clock import Clock
from shared.errors import InvalidArgument
from shared.http import ProviderFailure, ProviderHttp
from shared.log import get_logger

DEFAULT_BASE_URL = "https://perps-api.jup.ag"
VERSIONS = ("auto", "v1", "v2")
FALLBACK_SECONDS = 86_400.0
# That a version is gone may be a slip: it is believed when said again this much later.
SECOND_LOOK_SECONDS = 30.0
_CODE = re.compile(r"[A-Za-z_]{1,60}|[0-9]{1,6}")
_GONE = frozenset({404, 410})
_MICRO_FACTOR = MICRO_DOLLARS_PER_DOLLAR / SCALE_FACTOR_LIMIT


class JupiterVenue:
    """`version` is auto (v2; v1 for a day when v2 is gone), v1 or v2.

    While v2 is said to be gone for the first time v1 answers in its place, and v2 is asked again
    next time.
    """

    name = "jupiter"
    forces_parts = False
    chains = frozenset({Chain.SOLANA})

    def __init__(
        self, http: ProviderHttp, extras: ProviderHttp, clock: Clock, version: str = "auto"
    ) -> None:
        if version not in VERSIONS:
            raise InvalidArgument(
                "UNKNOWN_NAME", f"JUPITER_API_VERSION is one of {', '.join(VERSIONS)}."
            )
        self._http = http
        self._extras = extras
        self._rates = BorrowRates(extras, clock)
        self._clock = clock
        self._version = version
        self._fallback_until_seconds = (
            0.0  # On the monotonic clock; v1 is asked before this moment.
        )
        self._gone_seconds: float | None = (
            None  # When v2 was said to be gone without an answer since.
        )

    async def fetch(
        self, wallet: WalletRef, reference_prices: Mapping[str, float], now: datetime
    ) -> Answer:
        answer = await self._positions(wallet, reference_prices)
        return replace(answer, holdings=await self._rates.price(columns_of(answer.holdings)))

    async def forced_trades(
        self, wallet: WalletRef, position_ids: Sequence[str], since: datetime
    ) -> Sequence[ForcedTrade]:
        """Those that are the newest trade of their position, whenever it was."""
        answer = await self._extras.get_json("/v2/trades", {"walletAddress": wallet.public_address})
        return read_liquidations(answer.body)

    async def _positions(self, wallet: WalletRef, reference_prices: Mapping[str, float]) -> Answer:
        if self._version == "v1":
            return await self._ask(V1, wallet, reference_prices)
        if self._version == "auto" and self._falls_back():
            return _said(
                await self._ask(V1, wallet, reference_prices), "v2 is gone: v1 is asked for a day"
            )
        try:
            answer = await self._ask(V2, wallet, reference_prices)
        except ProviderFailure as failure:
            if self._version == "v2" or failure.status not in _GONE:
                raise
            status = failure.status
        else:
            self._gone_seconds = None
            return answer
        answer = await self._ask(V1, wallet, reference_prices)
        return _said(answer, f"v2 answered HTTP {status}: v1 was asked{self._believed()}")

    def _believed(self) -> str:
        """What follows of v2 being said to be gone, now that v1 has answered."""
        now_seconds = self._clock.monotonic()
        if self._gone_seconds is None:
            self._gone_seconds = now_seconds
        if now_seconds - self._gone_seconds < SECOND_LOOK_SECONDS:
            return ", v2 is asked again next time"
        self._fallback_until_seconds, self._gone_seconds = now_seconds + FALLBACK_SECONDS, None
        get_logger().warning("jupiter_v2_gone", asked_instead="v1", for_seconds=FALLBACK_SECONDS)
        return ", for a day"

    def _falls_back(self) -> bool:
        return self._clock.monotonic() < self._fallback_until_seconds

    async def _ask(
        self, shape: Shape, wallet: WalletRef, reference_prices: Mapping[str, float]
    ) -> Answer:
        params = {"walletAddress": wallet.public_address}
        if shape is V1:
            params["showTpslRequests"] = "true"
        try:
            answer = await self._http.get_json(f"/{shape.version}/positions", params)
        except ProviderFailure as failure:
            raise worded(failure, _code(failure.body)) from failure
        return read_answer(
            answer.body, shape, wallet.public_address, reference_prices, answer.received_time
        )


def build(context: VenueContext) -> Built:
    """Settings: jupiter_api_base, jupiter_api_version. Rates and trades have a circuit of their
    own: what fails there keeps nobody from asking for positions.
    """
    settings, clock = context.settings, context.clock
    address = settings.get("jupiter_api_base") or DEFAULT_BASE_URL
    reset = "x-ratelimit-reset"
    http = ProviderHttp("jupiter", address, clock=clock, per_second=5.0, retry_after=reset)
    extras = ProviderHttp(
        "jupiter extras", address, clock=clock, timeout_seconds=3.0, retries=0, retry_after=reset
    )
    version = settings.get("jupiter_api_version") or "auto"
    return Built(JupiterVenue(http, extras, clock, version), (http, extras))


def read_answer(
    body: object,
    shape: Shape,
    wallet_address: str,
    reference_prices: Mapping[str, float],
    observed_time: datetime,
) -> Answer:
    """The answer a body states. Raises ProviderFailure BAD_BODY when it is no list of positions."""
    rows = _rows(body)
    kept, keys = _once_each(rows)
    if not kept:
        incomplete = _incomplete_reason(body, rows, ())
        return Answer((), (), not incomplete, incomplete, len(rows), observed_time)
    held, faults = read_rows(kept, keys, shape, observed_time)
    reason = _scale_fault(held, ~faults.where, reference_prices)
    if reason:
        whole = Refusal(reason, "", masked(body, wallet_address))
        return Answer((), (whole,), False, reason, len(rows), observed_time)
    check_holdings(held, shape, faults)
    # Of two rows of one position that differ neither can be believed.
    faults.add(_again(held.ids, ~faults.where), "DUPLICATE_DIFFERS", "positionPubkey")
    refusals = tuple(
        refusal(kept[row], *faults.of(row), wallet_address)
        for row in np.flatnonzero(faults.where).tolist()
    )
    refused_ids = {refused.position_id for refused in refusals}
    sound = np.flatnonzero(~faults.where)
    if refusals:
        sound = sound[[held.ids[row] not in refused_ids for row in sound.tolist()]]
        held = held.taken(sound)
    incomplete = _incomplete_reason(body, rows, refusals)
    return Answer(held or (), refusals, not incomplete, incomplete, len(rows), observed_time)


def _said(answer: Answer, words: str) -> Answer:
    """The answer with a sentence about how it was come by."""
    return replace(
        answer, message=f"jupiter's {words}" + (f"; {answer.message}" if answer.message else "")
    )


def _rows(body: object) -> Sequence[object]:
    if not isinstance(body, dict):
        raise bad_body("jupiter", "not a JSON object")
    if any(body.get(word) for word in ("code", "error", "errors")):
        raise bad_body("jupiter", f"an error body{_code(body)}")
    if "dataList" not in body:
        raise bad_body("jupiter", "an object without dataList")
    rows = body["dataList"]
    if rows is None:
        return ()
    if not isinstance(rows, list):
        raise bad_body("jupiter", "dataList is not a list")
    return rows


def _code(body: object) -> str:
    # A word or a number, by the layer that answered; anything else may hold what must stay private.
    code = str(body.get("code", "")) if isinstance(body, dict) else ""
    return f", code {code}" if _CODE.fullmatch(code) else ""


def _once_each(rows: Sequence[object]) -> tuple[Sequence[object], Sequence[str | None]]:
    """The rows without exact repetitions of a position, and the key of each."""
    keys = [position_key(row) for row in rows]
    if len(set(keys)) == len(keys):
        return rows, keys
    seen: dict[str, list[object]] = {}
    kept: list[object] = []
    for row, key in zip(rows, keys, strict=True):
        if key is not None:
            same = seen.setdefault(key, [])
            if row in same:
                continue
            same.append(row)
        kept.append(row)
    return kept, [position_key(row) for row in kept]


def _again(ids: Sequence[str], sound: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Sound rows whose id an earlier sound row has."""
    again, seen = np.zeros(len(ids), np.bool_), set[str]()
    if len(set(ids)) == len(ids):
        return again
    for row in np.flatnonzero(sound).tolist():
        again[row] = ids[row] in seen
        seen.add(ids[row])
    return again


def _incomplete_reason(body: object, rows: Sequence[object], refusals: Sequence[Refusal]) -> str:
    count = at(body, "count")
    if not isinstance(count, int) or isinstance(count, bool):
        return "COUNT_MISSING"
    if count != len(rows):
        return "COUNT_MISMATCH"
    return "ROWS_REFUSED" if refusals else ""


def _scale_fault(
    held: HoldingColumns, sound: NDArray[np.bool_], reference_prices: Mapping[str, float]
) -> str:
    """MICRO_DOLLARS or PRICE_SCALE, of the first sound row whose figures are in another unit; else
    empty.
    """
    of = held.columns
    references = np.array([reference_prices.get(name, np.nan) for name in held.asset_names])
    collateral = of["collateral_usd"]
    with np.errstate(all="ignore"):
        by_mark = of["mark_price_usd"] / references[of["asset"]]
        # value = collateral + pnl: collateral far above both is in another unit.
        stated = np.maximum(np.abs(of["venue_value_usd"]), np.abs(of["pnl_after_fees_usd"]))
        by_collateral = collateral / (stated + 1.0)
        off_mark = off_scale_rows(of["mark_price_usd"], references[of["asset"]])
        off = np.flatnonzero(sound & (off_mark | (by_collateral > SCALE_FACTOR_LIMIT)))
    if not len(off):
        return ""
    first = off[0]
    factor = by_mark[first] if off_mark[first] else by_collateral[first]
    return "MICRO_DOLLARS" if factor >= _MICRO_FACTOR else "PRICE_SCALE"
