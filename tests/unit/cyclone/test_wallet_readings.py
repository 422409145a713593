"""What a cycle hands to the monitors of how wallets answered."""

from __future__ import annotations

from sonic.monitor.v1 import monitor_pb2
from sonic.positions.v1 import positions_pb2

from services.cyclone.clients.readings import wallet_readings
from shared.codec import fill
from shared.rpc.validation import check

PARTIAL = positions_pb2.WALLET_SYNC_STATE_PARTIAL
PHRASE = "legal winner thank year wave sausage worth useful legal winner thank yellow"


def test_parts_that_are_not_read_are_handed_on_each_by_itself_within_the_bounds() -> None:
    parts = [f"not watched: dex number{one}, 1,000 USD" for one in range(300)]
    sync = positions_pb2.WalletSync(
        wallet="main",
        state=PARTIAL,
        reason="NOT_WATCHED",
        unwatched=[*parts[:9], "x" * 900, *parts],
    )
    (reading,) = wallet_readings([sync])
    assert (reading.reason, len(reading.unwatched)) == ("NOT_WATCHED", 200)
    assert reading.unwatched[:9] == tuple(parts[:9])
    check(fill(monitor_pb2.WalletReading, reading))


def test_a_strangers_words_do_not_have_the_request_refused() -> None:
    sync = positions_pb2.WalletSync(
        wallet="main", state=PARTIAL, unwatched=[f"not watched: subaccount {PHRASE}"]
    )
    (reading,) = wallet_readings([sync])
    check(fill(monitor_pb2.WalletReading, reading))
