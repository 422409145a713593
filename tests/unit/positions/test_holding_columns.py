"""Holdings as columns and back: nothing of what a venue states is lost on the way."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from services.positions.domain.venue_answer import (
    NO_TERMS,
    NUMBERS,
    CarrySource,
    Flag,
    Holding,
    Side,
    VenueTerms,
)
from services.positions.sync.domain.holding_columns import columns_of

numbers = st.none() | st.floats(allow_nan=False)
terms = st.just(NO_TERMS) | st.builds(
    VenueTerms, numbers, numbers, st.none() | st.sampled_from(CarrySource)
)
times = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
holdings = st.builds(
    Holding,
    position_id=st.text(max_size=4),
    asset=st.sampled_from(["BTC", "ETH", "UNKNOWN"]),
    side=st.sampled_from(Side),
    opened_time=st.none() | times.map(lambda moment: moment.replace(microsecond=0)),
    flags=st.frozensets(st.sampled_from(Flag)),
    terms=terms,
    one_way=st.booleans(),
    shares_collateral=st.booleans(),
    **dict.fromkeys(NUMBERS, numbers),
)


@given(st.lists(holdings, max_size=6, unique_by=lambda held: held.position_id))
def test_holdings_come_out_of_columns_as_they_went_in(held: list[Holding]) -> None:
    columns = columns_of(held)
    assert list(columns) == held
    assert [one.terms for one in columns] == [one.terms for one in held]
    assert columns[1:] == held[1:] and len(columns) == len(held)
    assert columns_of(columns) is columns


def test_an_id_that_stands_twice_counts_once_the_first() -> None:
    first, second = Holding("p", "BTC", Side.LONG), Holding("p", "ETH", Side.SHORT)
    assert list(columns_of([first, second])) == [first]
