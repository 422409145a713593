"""How a client finds the servers behind an address."""

from __future__ import annotations

import pytest

from shared.rpc.client import may_be_several


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("127.0.0.1:50051", False),
        ("[::1]:50051", False),
        ("localhost:50051", False),
        ("unix:/run/sonic/price.sock", False),
        ("ipv4:127.0.0.1:50051", False),
        ("ipv4:127.0.0.1:50051,127.0.0.1:50052", True),
        ("price:50051", True),
        ("price-headless.sonic.svc.cluster.local:50051", True),
        ("dns:///price:50051", True),
    ],
)
def test_only_an_address_with_several_servers_is_called_in_turn(address: str, may: bool) -> None:
    assert may_be_several(address) is may
