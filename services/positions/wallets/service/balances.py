"""Keeps the native balance of wallets as their chain states it."""

from typing import Final

from services.positions.domain.venue_answer import WalletRef
from services.positions.service.ports import Begin
from services.positions.venues.balances import ChainBalances
from services.positions.wallets.domain.wallet import Wallet
from shared.clock import Clock
from shared.errors import SonicError
from shared.log import get_logger

REFRESH_SECONDS: Final = 600.0


class BalanceKeeper:
    """Asks for a wallet at most every ten minutes; a failure keeps the last balance."""

    def __init__(self, begin: Begin, balances: ChainBalances, clock: Clock) -> None:
        self._begin = begin
        self._balances = balances
        self._clock = clock
        self._asked_seconds: dict[str, float] = {}

    async def refresh(self, wallet: Wallet) -> None:
        """Read and keep the balance of a wallet when it is due."""
        now_seconds = self._clock.monotonic()
        if wallet.chain not in self._balances.chains or not self._due(wallet.name, now_seconds):
            return
        self._asked_seconds[wallet.name] = now_seconds
        try:
            balance = await self._balances.read(
                WalletRef(wallet.name, wallet.chain, wallet.public_address)
            )
            if balance != wallet.balance_native:
                async with self._begin() as store:
                    await store.wallets.change(wallet.name, {"balance_native": balance})
        except SonicError as failure:
            get_logger().warning(
                "a balance cannot be read", wallet=wallet.name, reason=failure.reason
            )

    def _due(self, name: str, now_seconds: float) -> bool:
        return now_seconds - self._asked_seconds.get(name, float("-inf")) >= REFRESH_SECONDS
