"""Whose an address is."""

from __future__ import annotations

import pytest

from shared.networks import network_of
from shared.rpc.door import Places


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("2001:db8::7", "2001:db8::/64"),
        ("[2001:db8::ffff:1]", "2001:db8::/64"),
        ("2001:db8:0:1::7", "2001:db8:0:1::/64"),
        ("fe80::1%2", "fe80::/64"),
        ("::1", "::1"),
        ("somewhere", "somewhere"),
        ("", ""),
    ],
)
def test_of_ipv6_a_network_is_one_client(host: str, network: str) -> None:
    assert network_of(host) == network
    assert network_of(network) == network


def test_one_network_has_some_of_the_places_and_leaves_the_rest() -> None:
    places = Places(6, 3)
    crowd = [f"2001:db8::{n}" for n in range(5)]
    assert [places.enter(host) for host in crowd] == [True] * 3 + [False] * 2
    assert places.enter("10.0.0.7")
    places.leave(crowd[0])
    assert places.enter(crowd[4]) and not places.enter(crowd[0])
    # What runs on this machine shares an address, and has what is left.
    assert [places.enter("127.0.0.1") for _ in range(3)] == [True, True, False]
    assert not places.enter("10.0.0.8")
    for host in (*crowd[1:3], crowd[4], "10.0.0.7", "127.0.0.1", "127.0.0.1"):
        places.leave(host)
    assert places.enter("10.0.0.8")
