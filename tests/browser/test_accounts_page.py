"""What is liquidated together, on the page of wallets, over a venue that is made up. Needs a
Chromium; without one it is skipped, and counted so.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.browser.keyboard import Keyboard
from tests.browser.visit import NEEDS_BROWSER, Visit, sitting
from tests.chaos.conftest import home
from tests.fakes.info_provider import InfoProvider

__all__ = ["home"]

pytestmark = NEEDS_BROWSER
FIXTURES = Path(__file__).parents[1] / "fixtures"
ADDRESS = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


@pytest.fixture
async def servers(home: Path) -> AsyncIterator[Visit]:
    """A wallet at Hyperliquid: one margin for all, and a position with its own."""
    async with InfoProvider() as venue:
        state = json.loads((FIXTURES / "hyperliquid_clearinghouse_state.json").read_text())
        venue.answer("POST /info/clearinghouseState", json=state)
        contexts = (FIXTURES / "hyperliquid_meta_and_asset_ctxs.json").read_bytes()
        venue.answer("POST /info/metaAndAssetCtxs", text=contexts)
        async with sitting(home, {"HYPERLIQUID_URL": venue.url}) as made:
            wallet = {"name": "perps", "chain": "CHAIN_ETHEREUM", "public_address": ADDRESS}
            await made.post("/v1/wallets", wallet)
            await made.post("/v1/positions:sync", {})
            yield made


async def test_accounts_say_what_liquidates_them_and_what_a_transfer_changes(
    servers: Visit,
) -> None:
    rows = (await servers.get("/v1/accounts?wallet=perps"))["accounts"]
    account = next(one for one in rows if one["name"] == "cross")
    (line,) = account["lines"]
    page = await servers.show("/wallets")
    item = f"[data-account='{account['id']}']"
    await servers.says(item, f"{account['margin_ratio']:.3f}")
    said = await servers.text(item)
    assert f"{account['distance_percent']:.1f} % of a common move" in said
    assert f"${account['equity_usd']:,.2f}" in said and f"{account['exposure_ratio']:.2f}×" in said
    assert f"{line['below_usd']:,.2f}" in said and f"{line['price_usd']:,.2f}" in said
    # No price above liquidates a long: that is said, and is no question mark.
    assert "by no rise" in said and "none" in said and "?" not in said
    # What cannot be judged stands first and says why; the one is beside the other.
    assert await page.run("document.querySelectorAll('#accounts article').length") == len(rows)

    keys = Keyboard(servers)
    await keys.press("What a transfer would change", item)
    await keys.write("Paid in", "-1000", item)
    await keys.page.key("Enter")
    await servers.says(f"{item} .transferred", "$1,000.00 taken out")
    asked = {"amount_usd": -1000}
    answer = await servers.post(f"/v1/accounts/{account['id']}:evaluateTransfer", asked)
    told = await servers.text(f"{item} .transferred")
    assert f"{answer['after']['lines'][0]['below_usd']:,.2f}" in told
    assert f"${answer['after']['equity_usd']:,.2f}" in told
    # What is typed and what was answered stay while figures come.
    await servers.post("/v1/positions:sync", {})
    await keys.write("With betas", "SOL", item)
    await keys.page.key("Enter")
    await servers.says(item, "is a list like BTC=1, ETH=1.3")
    await keys.write("With betas", "SOL=2", item)
    await keys.page.key("Enter")
    await servers.says(f"{item} .transferred", "With betas, fall")
    # What the server refuses stands in the form.
    await keys.write("With betas", "BTC=1", item)
    await keys.page.key("Enter")
    await servers.says(f"{item} .form-problem", "beta")
    after = (await servers.get("/v1/accounts?wallet=perps"))["accounts"]
    assert [one["id"] for one in after] == [one["id"] for one in rows]
