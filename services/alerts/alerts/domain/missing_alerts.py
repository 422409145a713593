"""Which alerts should exist and do not, by who is held and what is judged."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.accounts import Account, Accounts
from services.alerts.alerts.domain.alert_columns import AlertColumns, Column, fresh_columns
from services.alerts.alerts.domain.compiled_limits import ThresholdTables
from services.alerts.alerts.domain.subjects import Members, Subject
from services.alerts.domain.kinds import METRICS, AlertClass, AlertType, parts_of
from services.alerts.thresholds.domain import ThresholdSet


@dataclass(slots=True)
class Wanted:
    """New alerts in columns without keys, what they need, whether a later pass may find more."""

    assets: tuple[str, ...]
    columns: dict[str, Column]
    subjects: list[Subject]
    complete: bool
    next_subject_key: int
    # More is missing than was asked for.
    is_part: bool = False

    def __len__(self) -> int:
        return len(self.columns["kind"])


@dataclass(slots=True)
class _Found:
    """Pieces of the columns to be."""

    subject_key: list[Column] = field(default_factory=list)
    asset_key: list[Column] = field(default_factory=list)
    kind: list[Column] = field(default_factory=list)
    starting_value: list[Column] = field(default_factory=list)

    def add(
        self, kind: int, subject_key: Column, asset_key: Column, starting_value: Column
    ) -> None:
        self.subject_key.append(subject_key)
        self.asset_key.append(asset_key)
        self.kind.append(np.full(len(subject_key), kind))
        self.starting_value.append(starting_value)


def wanted(
    columns: AlertColumns,
    thresholds: ThresholdSet,
    members: Members,
    next_subject_key: int,
    now_micros: int,
    most: int,
) -> Wanted:
    """Position, account, portfolio and price alerts, each for kinds with an enabled threshold; at
    most so many.

    Probability only where it is known; `complete` is False while some position lacks it.
    """
    market = thresholds.market()
    assets = _extended(columns.assets, [*members.asset_names, *(asset for _, asset in market)])
    places = {asset: place for place, asset in enumerate(assets)}
    tables = ThresholdTables(*thresholds.tables(assets))
    found = _Found()
    # Few, and not of positions: they come first.
    _portfolio(columns, thresholds, found)
    _accounts(columns, thresholds, members.positions.accounts, found)
    subjects, next_key = _market(columns, market, places, next_subject_key, found)
    complete = _positions(columns, thresholds, tables, members, places, found)
    missing_count = sum(len(piece) for piece in found.kind)
    made = fresh_columns(min(missing_count, most))
    for name in ("subject_key", "asset_key", "kind", "starting_value"):
        pieces = getattr(found, name)
        if pieces:
            made[name][:] = np.concatenate(pieces)[:most]
    made["created_micros"][:] = now_micros
    rows = np.flatnonzero(np.isin(members.position_key, made["subject_key"]))
    subjects += [_subject(members, row) for row in rows.tolist()]
    accounts = members.positions.accounts
    rows = np.flatnonzero(np.isin(accounts.key, made["subject_key"]))
    subjects += [account_subject(accounts.rows[row]) for row in rows.tolist()]
    return Wanted(assets, made, subjects, complete, next_key, missing_count > most)


def all_made(columns: AlertColumns, thresholds: ThresholdSet) -> NDArray[np.int64]:
    """Positions that have an alert of every kind that any may have, ascending by key: whatever
    comes, nothing of theirs is missing.
    """
    kinds = thresholds.kinds(AlertClass.POSITION)
    rows = columns.automatic & np.isin(columns.kind, kinds)
    # Alerts of one kind mostly stand in the order of their positions: runs that are merged.
    keys = np.sort(columns.subject_key[rows], kind="stable")
    apart = max(len(kinds) - 1, 0)
    last = keys[apart:]
    return np.asarray(last[last == keys[: len(last)]], np.int64)


def _extended(assets: tuple[str, ...], names: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*assets, *names]))


def _positions(
    columns: AlertColumns,
    thresholds: ThresholdSet,
    tables: ThresholdTables,
    members: Members,
    places: dict[str, int],
    found: _Found,
) -> bool:
    """Whether all that could be missing was looked for."""
    asset_key = np.array([places[name] for name in members.asset_names] or [0])[members.asset_index]
    complete, levered = True, ~members.positions.spot
    for kind in thresholds.kinds(AlertClass.POSITION):
        alert_type = parts_of(kind)[0]
        value = members.positions.metric(alert_type)
        eligible: NDArray[np.bool_] = tables.enabled[kind, asset_key]
        if alert_type is not AlertType.PROFIT:
            eligible = eligible & levered
        if alert_type is AlertType.LIQUIDATION_PROBABILITY:
            complete = complete and not (eligible & np.isnan(value)).any()
            eligible = eligible & ~np.isnan(value)
        existing = columns.subject_key[(columns.kind == kind) & columns.automatic]
        rows = np.flatnonzero(eligible & ~np.isin(members.position_key, existing))
        found.add(kind, members.position_key[rows], asset_key[rows], value[rows])
    return complete


def _subject(members: Members, row: int) -> Subject:
    return Subject(
        int(members.position_key[row]),
        members.position_id[row],
        members.wallet_names[members.wallet_index[row]],
        int(members.side_sign[row]),
        "",
    )


def account_subject(account: Account) -> Subject:
    """What alerts of an account are about."""
    return Subject(account.key, account.id, account.wallet, 0, account.label)


def _accounts(
    columns: AlertColumns, thresholds: ThresholdSet, accounts: Accounts, found: _Found
) -> None:
    """Also of one of which nothing is known: its alert says so."""
    for kind in thresholds.kinds(AlertClass.ACCOUNT):
        existing = columns.subject_key[(columns.kind == kind) & columns.automatic]
        rows = np.flatnonzero(~np.isin(accounts.key, existing))
        value = accounts.figures[METRICS[parts_of(kind)[0]].name][rows]
        start = np.where(np.isfinite(value), value, np.nan)
        found.add(kind, accounts.key[rows], np.zeros(len(rows), np.int64), start)


def _portfolio(columns: AlertColumns, thresholds: ThresholdSet, found: _Found) -> None:
    existing = set(
        columns.kind[(columns.alert_class == AlertClass.PORTFOLIO) & columns.automatic].tolist()
    )
    for kind in thresholds.kinds(AlertClass.PORTFOLIO):
        if kind not in existing:
            found.add(kind, np.zeros(1, np.int64), np.zeros(1, np.int64), np.full(1, np.nan))


def _market(
    columns: AlertColumns,
    market: list[tuple[int, str]],
    places: dict[str, int],
    next_subject_key: int,
    found: _Found,
) -> tuple[list[Subject], int]:
    """Prices: both conditions of one asset are about one subject."""
    rows = np.flatnonzero(columns.alert_class == AlertClass.MARKET).tolist()
    automatic = columns.automatic
    existing = {
        (int(columns.kind[row]), int(columns.asset_key[row])) for row in rows if automatic[row]
    }
    keys = {int(columns.asset_key[row]): int(columns.subject_key[row]) for row in rows}
    made = []
    for kind, asset in market:
        place = places[asset]
        if (kind, place) in existing:
            continue
        if place not in keys:
            keys[place] = next_subject_key
            next_subject_key -= 1
            made.append(Subject(keys[place], asset, "", 0, ""))
        found.add(kind, np.full(1, keys[place]), np.full(1, place), np.full(1, np.nan))
    return made, next_subject_key
