"""An account's lines: exact by stretches, held against bisection; what is missing stays missing."""

import random
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from services.positions.accounts.domain.liquidation_lines import (
    account_lines,
    beta_moves,
    common_moves,
    missing_betas,
)
from services.positions.accounts.domain.margin_account import (
    NO_CASH,
    NO_MAINTENANCE,
    NO_PRICE,
    Leg,
    MarginAccount,
    MarginTier,
    SpotBalance,
    flat,
    maintenance,
)
from services.positions.risk.domain.liquidation import (
    dydx_liquidation_price,
    hyperliquid_liquidation_price,
)

Numbers = npt.NDArray[np.float64]
TIERED = (MarginTier(0.0, 0.025), MarginTier(50_000.0, 0.05), MarginTier(200_000.0, 0.1))
FAR = 1e4  # A move up beyond a million percent is looked for by nobody.
LONG = MarginAccount(-8000.0, (Leg("BTC", 0.1, 100_000.0, flat(0.0125)),))


def surplus(account: MarginAccount, betas: Mapping[str, float], move: float) -> float:
    """Equity less maintenance after a move, by nothing but their definitions."""

    def price(asset: str, now: float | None) -> float:
        return (now or 0.0) * max(0.0, 1.0 + betas.get(asset, 0.0) * move)

    left = account.cash_usd or 0.0
    for leg in account.legs:
        value = leg.base * price(leg.asset, leg.price_usd)
        left += value - maintenance(abs(value), leg.tiers)
    for one in account.spot:
        left += one.amount * price(one.asset, one.price_usd) * one.counted_ratio
    return left


def bisected(account: MarginAccount, betas: Mapping[str, float], end: float) -> float | None:
    """The first root between 0 and `end` on a fine grid of ever wider steps, then by halves."""
    steps = np.expm1(np.linspace(0.0, np.log1p(end), 2001)) if end > 0 else np.linspace(0, end, 401)
    gone_at = np.flatnonzero(many_surpluses(account, betas, steps) <= 0)
    if not len(gone_at):
        return None
    safe, gone = float(steps[gone_at[0] - 1]), float(steps[gone_at[0]])
    for _ in range(70):
        middle = (safe + gone) / 2
        if surplus(account, betas, middle) > 0:
            safe = middle
        else:
            gone = middle
    return gone


def many_surpluses(account: MarginAccount, betas: Mapping[str, float], moves: Numbers) -> Numbers:
    """The same for many moves."""
    left = np.full(len(moves), account.cash_usd or 0.0)
    for leg in account.legs:
        value = leg.base * (leg.price_usd or 0.0) * factors(betas.get(leg.asset, 0.0), moves)
        left += value - np.interp(np.abs(value), *curve(leg.tiers))
    for one in account.spot:
        worth = one.amount * (one.price_usd or 0.0) * one.counted_ratio
        left += worth * factors(betas.get(one.asset, 0.0), moves)
    return left


def factors(beta: float, moves: Numbers) -> Numbers:
    return np.maximum(0.0, 1.0 + beta * moves)


def curve(tiers: tuple[MarginTier, ...]) -> tuple[list[float], list[float]]:
    """The corners of what must stay, by notional."""
    ends = [*(tier.from_notional_usd for tier in tiers), 1e15]
    return ends, [maintenance(end, tiers) for end in ends]


def random_account(dice: random.Random) -> MarginAccount:
    """One to five assets on both sides, flat or tiered, some with spot; funded or nearly not."""
    names = dice.sample(["BTC", "ETH", "SOL", "DOGE", "AVAX"], dice.randint(1, 5))
    legs = []
    for name in names:
        price = 10 ** dice.uniform(-1, 5)
        base = dice.choice([-1, 1]) * 10 ** dice.uniform(2, 5.5) / price
        tiers = dice.choice([TIERED, flat(dice.uniform(0.005, 0.1))])
        legs.append(Leg(name, base, price, tiers))
    spot: tuple[SpotBalance, ...] = ()
    if dice.random() < 0.4:
        held = dice.choice(legs)
        amount = dice.uniform(0, 2) * abs(held.base)
        spot = (SpotBalance(held.asset, amount, held.price_usd, dice.choice([1.0, 0.5])),)
    bare = MarginAccount(0.0, tuple(legs), spot)
    need = (bare.maintenance_usd or 0.0) - (bare.equity_usd or 0.0)
    return replace(bare, cash_usd=need + dice.uniform(0.02, 1.5) * (bare.notional_usd or 0.0))


def agree(
    account: MarginAccount, betas: Mapping[str, float], percent: float | None, end: float
) -> None:
    """Whether an exact move is the one that bisection finds, to 1e-9 of the price."""
    root = bisected(account, betas, end)
    if percent is not None and is_dip(account, betas, percent / 100 * np.sign(end)):
        # The grid may step over one that is narrower than its steps; nothing comes before it.
        assert root is None or percent / 100 <= abs(root) * (1 + 1e-9) + 1e-9
        return
    if root is None:
        assert percent is None or percent / 100 > min(abs(end), 1.0) * (1 - 1e-9)
        return
    assert percent is not None
    assert percent / 100 == pytest.approx(abs(root), rel=1e-9, abs=1e-9)


def is_dip(account: MarginAccount, betas: Mapping[str, float], move: float) -> bool:
    """Whether the account is lost from this move on, to 1e-9, and lives again soon after."""
    before, after, *later = many_surpluses(
        account, betas, move * np.array([1 - 1e-9, 1 + 1e-9, *np.linspace(1.0, 1.05, 501)])
    )
    return bool(before > 0 > after and max(later) > before)


def test_a_dip_between_two_looks_of_the_grid_is_found() -> None:
    dice = random.Random(5145)
    account = random_account(dice)
    names = ("DOGE", "AVAX", "ETH", "BTC", "SOL")
    betas = {name: dice.uniform(-0.5, 2.0) for name in names}
    percent = beta_moves(account, betas).down_percent
    assert percent == pytest.approx(54.33886817, abs=1e-8)
    assert is_dip(account, betas, -percent / 100)
    assert bisected(account, betas, -1.0) is None


def check_against_bisection(seed: int) -> None:
    dice = random.Random(seed)
    account = random_account(dice)
    for line in account_lines(account):
        agree(account, {line.asset: 1.0}, line.moves.down_percent, -1.0)
        agree(account, {line.asset: 1.0}, line.moves.up_percent, FAR)
    names = sorted(leg.asset for leg in account.legs)
    moves = common_moves(account)
    agree(account, dict.fromkeys(names, 1.0), moves.down_percent, -1.0)
    agree(account, dict.fromkeys(names, 1.0), moves.up_percent, FAR)
    betas = {name: dice.uniform(-0.5, 2.0) for name in names}
    moves = beta_moves(account, betas)
    agree(account, betas, moves.down_percent, -1.0)
    agree(account, betas, moves.up_percent, FAR)


@pytest.mark.parametrize("start", range(0, 300, 50))
def test_lines_are_those_that_bisection_finds(start: int) -> None:
    for seed in range(start, start + 50):
        check_against_bisection(seed)


def test_one_asset_has_the_price_of_its_venues_formula() -> None:
    (line,) = account_lines(LONG)
    equity, asked = 2000.0, 125.0
    known = float(hyperliquid_liquidation_price(100_000.0, 0.1, equity - asked, 40.0))
    assert line.below_usd == pytest.approx(known, rel=1e-12)
    assert line.above_usd is None
    assert line.moves.nearest_percent == pytest.approx(100 * (1 - known / 100_000), rel=1e-12)


def test_many_assets_have_the_prices_of_their_venues_formula() -> None:
    legs = (Leg("BTC", 0.35, 97_412.5, flat(0.03)), Leg("ETH", -4.0, 3381.2, flat(0.03)))
    account = MarginAccount(-10_157.238, legs)
    btc, eth = account_lines(account)
    equity = account.equity_usd or 0.0
    other = 4 * 3381.2 * 0.03
    known = float(dydx_liquidation_price(equity, 0.35, 97_412.5, 0.03, other))
    assert btc.below_usd == pytest.approx(known, rel=1e-12)
    known = float(dydx_liquidation_price(equity, -4.0, 3381.2, 0.03, 0.35 * 97_412.5 * 0.03))
    assert eth.above_usd == pytest.approx(known, rel=1e-12)


def test_a_hedged_account_dies_of_one_price_but_hardly_of_all_together() -> None:
    legs = (Leg("BTC", 0.1, 100_000.0, flat(0.01)), Leg("ETH", -3.0, 3000.0, flat(0.01)))
    account = MarginAccount(1000.0, legs)
    (btc, eth), together = account_lines(account), common_moves(account)
    assert btc.below_usd and eth.above_usd
    assert together.down_percent is None  # All the way down it holds the difference.
    assert (together.up_percent or 1e9) > 100


def test_a_spot_balance_counts_as_far_as_the_venue_counts_it() -> None:
    short = Leg("ETH", -2.0, 3000.0, flat(0.02))
    bare = MarginAccount(7000.0, (short,))
    covered = replace(bare, cash_usd=1000.0, spot=(SpotBalance("ETH", 2.0, 3000.0),))
    partly = replace(covered, spot=(SpotBalance("ETH", 2.0, 3000.0, 0.9),))
    assert bare.equity_usd == covered.equity_usd
    first, second, third = (account_lines(one)[0].above_usd for one in (bare, partly, covered))
    assert first and second and third and first < second < third


def test_below_its_maintenance_an_account_is_liquidatable_now() -> None:
    moves = common_moves(replace(LONG, cash_usd=-9900.0))
    assert moves.down_percent == moves.up_percent == moves.nearest_percent == 0.0


def test_a_transfer_moves_every_line() -> None:
    (before,) = account_lines(LONG)
    (richer,) = account_lines(LONG.with_transfer(500.0))
    (poorer,) = account_lines(LONG.with_transfer(-500.0))
    assert (richer.below_usd or 0) < (before.below_usd or 0) < (poorer.below_usd or 0)
    assert common_moves(LONG.with_transfer(-1900.0)).nearest_percent == 0.0
    assert account_lines(LONG.with_transfer(9000.0))[0].below_usd is None


@pytest.mark.parametrize(
    ("account", "reason"),
    [
        (replace(LONG, cash_usd=None), NO_CASH),
        (replace(LONG, legs=(replace(LONG.legs[0], price_usd=None),)), NO_PRICE),
        (replace(LONG, legs=(replace(LONG.legs[0], tiers=()),)), NO_MAINTENANCE),
        (replace(LONG, spot=(SpotBalance("ETH", 1.0, None),)), NO_PRICE),
    ],
)
def test_what_is_missing_leaves_every_line_absent(account: MarginAccount, reason: str) -> None:
    assert account.missing == reason
    assert account_lines(account) == []
    moves = common_moves(account)
    assert moves.down_percent is None and moves.up_percent is None
    assert common_moves(account.with_transfer(1e9)).nearest_percent is None


def test_an_asset_without_a_beta_leaves_that_move_absent() -> None:
    legs = (*LONG.legs, Leg("ETH", 1.0, 3000.0, flat(0.02)))
    account = replace(LONG, legs=legs)
    assert missing_betas(account, {"BTC": 1.0}) == ["ETH"]
    assert beta_moves(account, {"BTC": 1.0}).nearest_percent is None
    gentle = beta_moves(account, {"BTC": 1.0, "ETH": 0.5}).down_percent or 0.0
    assert gentle > (common_moves(account).down_percent or 0.0)


def test_without_positions_there_is_no_line() -> None:
    assert common_moves(MarginAccount(100.0, ())).nearest_percent is None
    assert account_lines(MarginAccount(100.0, ())) == []


def test_maintenance_has_no_jump_where_a_tier_begins() -> None:
    assert maintenance(50_000.0, TIERED) == 1250.0
    assert maintenance(50_000.0 + 1e-6, TIERED) == pytest.approx(1250.0, abs=1e-6)
    # The venue's own form: the last rate of all of it, less what the tiers below spare.
    spared = 50_000 * 0.025 + 200_000 * 0.05
    assert maintenance(300_000.0, TIERED) == pytest.approx(300_000 * 0.1 - spared)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_thousand_accounts_have_the_lines_that_bisection_finds() -> None:
    for seed in range(1000, 11_000):
        check_against_bisection(seed)
