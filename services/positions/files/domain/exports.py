"""Positions and wallets as files that an import takes back."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

from services.positions.domain.position import Position
from services.positions.files.domain.imports import Format
from services.positions.wallets.domain.wallet import Wallet

_ENTERED: Final = (
    "entry_price_usd",
    "liquidation_price_usd",
    "mark_price_usd",
    "size_usd",
    "collateral_usd",
)
_FOUND: Final = (
    *(
        "pnl_usd",
        "value_usd",
        "travel_percent",
        "liquidation_distance_usd",
        "liquidation_distance_percent",
    ),
    *("heat_index", "liquidation_probability"),
)
POSITION_FIELDS: Final = (
    *("id", "wallet", "venue", "asset", "side", "status", *_ENTERED, "mark_time", "note"),
    *("leverage_ratio", *_FOUND),
)
WALLET_FIELDS: Final = (
    *("name", "chain", "public_address", "image_path", "type", "tags", "active"),
    *("balance_native", "balance_usd"),
)
Cell = str | float | bool | list[str] | None


def position_cells(position: Position) -> Mapping[str, Cell]:
    """One position. The mark is the stated one with its time: an import neither makes a market
    price a mark nor makes an old mark fresh.
    """
    inputs, risk = position.inputs, position.risk
    cells: dict[str, Cell] = {
        "id": inputs.id,
        "wallet": inputs.wallet,
        "venue": inputs.venue,
        "asset": inputs.asset,
        "side": inputs.side.name,
        "status": inputs.status.name,
        "note": inputs.note,
        "mark_time": inputs.mark_time.isoformat()
        if inputs.mark_time and inputs.mark_price_usd
        else None,
    }
    cells |= {name: getattr(inputs, name) for name in _ENTERED}
    return cells | {name: getattr(risk, name, None) for name in ("leverage_ratio", *_FOUND)}


def wallet_cells(wallet: Wallet) -> Mapping[str, Cell]:
    """One wallet; a balance only when it was entered."""
    return {
        "name": wallet.name,
        "chain": wallet.chain.name,
        "public_address": wallet.public_address,
        "image_path": wallet.image_path,
        "type": wallet.type.name,
        "tags": list(wallet.tags),
        "active": wallet.active,
        "balance_native": wallet.balance_native,
        "balance_usd": wallet.balance_usd,
    }


def written(
    rows: Iterable[Mapping[str, Cell]],
    fields: Sequence[str],
    kind: Format,
    noun: Literal["positions", "wallets"],
) -> bytes:
    """CSV with a header line, or JSON {noun: [...]}; absent: an empty cell, or no key. UTF-8."""
    if kind == "JSON":
        present = [{name: row[name] for name in fields if row[name] is not None} for row in rows]
        return json.dumps({noun: present}, ensure_ascii=False, indent=1).encode()
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(fields)
    writer.writerows([[_cell(row[name]) for name in fields] for row in rows])
    return out.getvalue().encode()


def _cell(value: Cell) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        # Labels that hold the separator would come back as two.
        is_plain = all(
            part == part.strip() and ";" not in part and not part.startswith("[") for part in value
        )
        return ";".join(value) if is_plain else json.dumps(value, ensure_ascii=False)
    return value
