"""Whose an address is."""

from __future__ import annotations

import pytest

from shared.networks import network_of
from shared.rpc.door import Place, Places


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
    gone: list[str] = []

    def come(host: str) -> Place | None:
        place = places.enter(host, lambda: gone.append(host))
        if place is not None:
            places.admit(place)
        return place

    crowd = [come(f"2001:db8::{n}") for n in range(5)]
    assert [place is not None for place in crowd] == [True] * 3 + [False] * 2
    other = come("10.0.0.7")
    leave(places, crowd[0])
    again = come("2001:db8::4")
    assert other and again and not come("2001:db8::0")
    # What runs on this machine shares an address, and has what is left.
    here = [come("127.0.0.1") for _ in range(3)]
    assert [place is not None for place in here] == [True, True, False]
    assert not come("10.0.0.8") and not gone, "nobody makes place who was admitted"
    for place in (*crowd[1:3], again, other, *here[:2]):
        leave(places, place)
    assert come("10.0.0.8")


def leave(places: Places, place: Place | None) -> None:
    assert place is not None
    places.leave(place)


def test_the_oldest_that_was_not_admitted_makes_place() -> None:
    places = Places(4, 3, lambda host: host == "10.0.0.9")
    gone: list[str] = []

    def come(name: str, host: str) -> Place | None:
        return places.enter(host, lambda: gone.append(name))

    owner = come("owner", "10.0.0.7")
    assert owner is not None
    places.admit(owner)
    strangers = [come(f"stranger {n}", "10.0.0.7") for n in range(3)]
    assert all(strangers) and gone == ["stranger 0"], "of one network"
    # It ends later, and its place was given away already.
    leave(places, strangers[0])
    assert come("other", "10.0.0.8") and gone == ["stranger 0"]
    assert come("another", "10.0.0.8") and gone[1:] == ["stranger 1"], "of the one that has most"
    proxied = [come(f"proxied {n}", "10.0.0.9") for n in range(8)]
    assert all(proxied) and "owner" not in gone and len(gone) == 10
