"""How often the public host may be asked."""

from datetime import UTC, datetime

import pytest

from services.price.sources import coingecko
from services.price.sources.source import SourceSetup
from shared.clock import PushedClock


@pytest.mark.parametrize(
    ("url", "key", "allowed"),
    [
        ("https://api.coingecko.com", "", 5),
        ("https://api.coingecko.com", "a-key", 30),
        ("https://mirror.example/prefix", "", 30),
    ],
)
def test_only_the_shared_public_host_without_a_key_is_asked_five_times_a_minute(
    url: str, key: str, allowed: int
) -> None:
    clock = PushedClock(datetime(2026, 11, 21, tzinfo=UTC))
    _, http = coingecko.connect(SourceSetup(url, key, 10.0, clock))
    taken = 0
    while http.rate_limit.take() == 0:
        taken += 1
    assert taken == allowed
