"""Coins of a wallet as a node of its chain states them. Asks nothing of a chain without one."""

import re
from collections.abc import Mapping

from services.positions.domain.venue_answer import Chain, WalletRef
from services.positions.venues.rows import at, bad_body, whole
from shared.clock import Clock
from shared.http import ProviderFailure, ProviderHttp

LAMPORTS_PER_SOL = 10**9
WEI_PER_ETHER = 10**18
_HEX = re.compile(r"0x[0-9a-fA-F]{1,64}")


class ChainBalances:
    """Native balances by JSON-RPC."""

    def __init__(self, nodes: Mapping[Chain, ProviderHttp]) -> None:
        self._nodes = nodes

    @property
    def parts(self) -> tuple[ProviderHttp, ...]:
        """Connections to be started before and stopped after."""
        return tuple(self._nodes.values())

    @property
    def chains(self) -> frozenset[Chain]:
        """Chains that have a node here."""
        return frozenset(self._nodes)

    async def read(self, wallet: WalletRef) -> float:
        """SOL or ETH, >= 0, of a wallet on one of `chains`. Raises ProviderFailure."""
        address = wallet.public_address
        if wallet.chain is Chain.SOLANA:
            return (
                read_lamports(await self._ask(wallet.chain, "getBalance", [address]))
                / LAMPORTS_PER_SOL
            )
        return (
            read_wei(await self._ask(wallet.chain, "eth_getBalance", [address, "latest"]))
            / WEI_PER_ETHER
        )

    async def _ask(self, chain: Chain, method: str, params: list[str]) -> object:
        sent = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        body = (await self._nodes[chain].post_json("", sent)).body
        if not isinstance(body, dict) or body.get("error") or body.get("result") is None:
            raise _bad_body()
        return body["result"]


def build_balances(clock: Clock, urls: Mapping[Chain, str]) -> ChainBalances:
    """`urls`: node by chain, SOLANA or ETHEREUM; an empty one is none."""
    return ChainBalances(
        {
            chain: ProviderHttp(
                f"{chain.name.lower()} node",
                url,
                clock=clock,
                timeout_seconds=3.0,
                retries=0,
                per_second=5.0,
            )
            for chain, url in urls.items()
            if url
        }
    )


def read_lamports(result: object) -> int:
    """Raises ProviderFailure BAD_BODY when it is no count of lamports."""
    value = whole(at(result, "value"), 0, 2**64)
    if value is None:
        raise _bad_body()
    return value


def read_wei(result: object) -> int:
    """Raises ProviderFailure BAD_BODY when it is no hexadecimal quantity."""
    if not isinstance(result, str) or not _HEX.fullmatch(result):
        raise _bad_body()
    return int(result, 16)


def _bad_body() -> ProviderFailure:
    return bad_body("the node", "no balance")
