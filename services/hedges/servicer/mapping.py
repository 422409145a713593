"""Answers of the domain as messages of the proto; NaN and None stay unset."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sonic.hedges.v1 import hedges_pb2 as pb

from services.hedges.domain import ladder, rebalance
from services.hedges.domain.evaluation import Evaluation
from services.hedges.domain.grouping import Hedge
from services.hedges.domain.history import LinkChange
from services.hedges.domain.holdings import LONG, Legs
from services.hedges.domain.ladder import Ladder
from services.hedges.domain.modifiers import Modifiers
from services.hedges.service.what_ifs import Advised, Corridor
from shared.codec import fill, put, to_timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LEG_NUMBERS = (
    "entry_price_usd",
    "mark_price_usd",
    "liquidation_price_usd",
    "size_usd",
    "collateral_usd",
    "tokens",
)
_NETS = (
    "price_usd",
    "net_value_usd",
    "net_pnl_usd",
    "net_delta_tokens",
    "net_delta_usd",
    "imbalance_usd",
)
_STEP_NUMBERS = (
    "price_usd",
    "distance_percent",
    "forfeited_collateral_usd",
    "forfeited_value_usd",
    "total_forfeited_collateral_usd",
    "naked_delta_tokens",
    "naked_delta_usd",
    "remaining_long_size_usd",
    "remaining_short_size_usd",
    "remaining_value_usd",
)


def hedge(one: Hedge) -> pb.Hedge:
    return fill(pb.Hedge, one, member_count=len(one.position_ids))


def legs(held: Legs) -> list[pb.HedgeLeg]:
    return [_leg(held, row) for row in range(len(held))]


def _leg(held: Legs, row: int) -> pb.HedgeLeg:
    micros = int(held.mark_time_micros[row])
    message = pb.HedgeLeg(
        position_id=held.position_ids[row],
        side=pb.SIDE_LONG if held.side[row] == LONG else pb.SIDE_SHORT,
        mark_time=to_timestamp(_EPOCH + timedelta(microseconds=micros)) if micros > 0 else None,
    )
    if held.wallets:
        message.wallet, message.venue = held.wallets[row], held.venues[row]
    message.spot = held.is_spot(row)
    message.stale = bool(held.stale and held.stale[row])
    put(message, **{name: float(getattr(held, name)[row]) for name in _LEG_NUMBERS})
    return message


def evaluations(held: Legs, evaluation: Evaluation) -> Iterator[pb.HedgeEvaluation]:
    for place in range(len(evaluation.price_usd)):
        message = pb.HedgeEvaluation(legs=_leg_evaluations(held, evaluation, place))
        put(message, **_numbers(evaluation, _NETS, place))
        yield message


def _leg_evaluations(held: Legs, evaluation: Evaluation, place: int) -> Iterator[pb.LegEvaluation]:
    for row, position_id in enumerate(held.position_ids):
        message = pb.LegEvaluation(
            position_id=position_id, past_liquidation=bool(evaluation.past_liquidation[place, row])
        )
        put(
            message,
            tokens=float(evaluation.tokens[row]),
            delta_tokens=float(evaluation.delta_tokens[row]),
            pnl_usd=float(evaluation.pnl_usd[place, row]),
            delta_usd=float(evaluation.delta_usd[place, row]),
            value_usd=float(evaluation.value_usd[place, row]),
        )
        yield message


def advised(answer: Advised) -> pb.AdviseRebalanceResponse:
    advice, held, row = answer.advice, answer.held.legs, answer.row
    reason = rebalance.Reason(int(advice.reason[0]))
    message = pb.AdviseRebalanceResponse(
        outcome=pb.RebalanceOutcome.ValueType(int(advice.outcome[0])),
        reason=pb.RebalanceReason.ValueType(reason),
        message=rebalance.MESSAGES.get(reason, ""),
        leg=_leg(held, row),
        gone_position_ids=answer.held.gone_position_ids,
        stale_position_ids=held.stale_ids,
    )
    put(
        message,
        imbalance_before_usd=float(advice.before.imbalance_usd[0]),
        net_delta_before_tokens=float(advice.before.net_delta_tokens[0]),
    )
    if reason is rebalance.Reason.NONE:
        collateral_usd, size_usd = float(advice.collateral_usd[0]), float(advice.size_usd[0])
        put(
            message,
            collateral_usd=collateral_usd,
            size_usd=size_usd,
            collateral_change_usd=collateral_usd - float(held.collateral_usd[row]),
            size_change_usd=size_usd - float(held.size_usd[row]),
            fee_usd=answer.fee_usd,
            leverage_ratio=size_usd / collateral_usd if collateral_usd > 0 else None,
            imbalance_after_usd=float(answer.after.imbalance_usd[0]),
            net_delta_after_tokens=float(answer.after.net_delta_tokens[0]),
        )
    return message


def corridor(answer: Corridor) -> pb.GetCorridorResponse:
    held = answer.held.legs
    message = pb.GetCorridorResponse(
        down_steps=_steps(held, answer.down),
        up_steps=_steps(held, answer.up),
        legs=legs(held),
        unjudged_position_ids=ladder.unjudged(held),
        gone_position_ids=answer.held.gone_position_ids,
        stale_position_ids=held.stale_ids,
    )
    put(
        message,
        reference_price_usd=answer.reference_price_usd,
        lower_price_usd=_first(answer.down.price_usd),
        upper_price_usd=_first(answer.up.price_usd),
        lower_distance_percent=_first(answer.down.distance_percent),
        upper_distance_percent=_first(answer.up.distance_percent),
    )
    return message


def _steps(held: Legs, steps: Ladder) -> Iterator[pb.LadderStep]:
    for place, rows in enumerate(steps.rows):
        message = pb.LadderStep(
            position_ids=[held.position_ids[row] for row in rows],
            remaining_leg_count=int(steps.remaining_leg_count[place]),
        )
        put(message, **_numbers(steps, _STEP_NUMBERS, place))
        yield message


def link_change(change: LinkChange) -> pb.LinkChange:
    return fill(pb.LinkChange, change)


def hedge_modifiers(values: Modifiers) -> pb.HedgeModifiers:
    return fill(pb.HedgeModifiers, values)


def _numbers(columns: object, names: tuple[str, ...], place: int) -> dict[str, float]:
    return {name: float(getattr(columns, name)[place]) for name in names}


def _first(column: Any) -> float | None:
    return float(column[0]) if len(column) else None
