"""What has the focus keeps it when its row moves, in every kind of list that orders itself.
Needs a Chromium; without one it is skipped, and counted so.
"""

from __future__ import annotations

import asyncio
import json

from tests.browser.visit import NEEDS_BROWSER, PAST, WALLET, Visit, servers

__all__ = ["servers"]

pytestmark = NEEDS_BROWSER
_HAS_FOCUS = "document.activeElement === window.held && window.held.isConnected"


async def _hold(servers: Visit, selector: str) -> None:
    control = f"document.querySelector({json.dumps(selector)})"
    await servers.page.until(f"!!{control}")
    await servers.page.run(f"window.held = {control}; window.held.focus()")
    assert await servers.page.run(_HAS_FOCUS)


def _names(selector: str, field: str) -> str:
    return f"[...document.querySelectorAll({json.dumps(selector)})].map(one => one.dataset.{field})"


async def _switch(servers: Visit, monitor: str, *, on: bool) -> None:
    answer = await servers.web.patch(
        f"/v1/monitors/{monitor}?update_mask=enabled", json={"enabled": on}
    )
    assert answer.status_code == 200, answer.text


async def _resting_count(servers: Visit) -> int:
    listed = (await servers.get("/v1/monitors"))["monitors"]
    count = sum(bool(one.get("resting_reason")) for one in listed)
    assert 0 < count < len(listed)
    return count


async def test_in_a_list_that_orders_itself(servers: Visit) -> None:
    page = await servers.show("/monitors")
    names = _names(".monitor", "monitor")
    first, second, *_ = await page.run(names)
    await _hold(servers, f"[data-monitor='{second}'] button")
    try:
        # The first goes to the end, and every other one up; then the one with the focus.
        for rests in (first, second):
            await _switch(servers, rests, on=False)
            await servers.post("/v1/cycles:run", {"steps": ["NOTIFY"]})
            place = f"{names}.indexOf({json.dumps(rests)}) - {names}.length"
            async with asyncio.timeout(60):
                # Those that rest stand last, by name; some rest from their first run on.
                while await page.run(place) < -await _resting_count(servers):
                    await asyncio.sleep(0.1)
            assert await page.run(_HAS_FOCUS)
    finally:
        for rests in (first, second):
            await _switch(servers, rests, on=True)


async def test_in_a_table_that_the_server_orders(servers: Visit) -> None:
    mover = {
        "id": "mover",
        "wallet": WALLET,
        "venue": "manual",
        "asset": "SOL",
        "side": "SIDE_LONG",
        "entry_price_usd": 200,
        "liquidation_price_usd": 185,
        "mark_price_usd": 186,
        "size_usd": 2000,
        "collateral_usd": 100,
    }
    await servers.post("/v1/positions", mover)
    await servers.post("/v1/cycles:run", {})
    page = await servers.show("/positions")
    rows = _names("#positions-panel tbody tr", "row")
    await page.until(f"{rows}.indexOf('mover') === 1 && {rows}[0] === {json.dumps(PAST)}")
    await _hold(servers, "[data-row='mover'] a.name")
    moved = {"id": "mover", "mark_price_usd": 150}
    answer = await servers.web.patch("/v1/positions/mover?update_mask=mark_price_usd", json=moved)
    assert answer.status_code == 200, answer.text
    await servers.post("/v1/cycles:run", {})
    await page.until(f"{rows}[0] === 'mover' && {rows}[1] === {json.dumps(PAST)}")
    # Its row is written anew: the link of the same position has the focus.
    assert await page.run("document.activeElement.dataset.key") == "mover"


async def test_in_a_part_that_is_shown_again_as_it_was(servers: Visit) -> None:
    page = await servers.show("/hedges")
    await _hold(servers, ".hedge-card .foot button")
    (hedge,) = (await servers.get("/v1/hedges"))["hedges"]
    body = {"id": hedge["id"], "note": "from elsewhere", "etag": hedge["etag"]}
    await servers.web.patch(f"/v1/hedges/{hedge['id']}?update_mask=note", json=body)
    await servers.says(".hedge-card", "from elsewhere")
    # The cycle has every panel read anew.
    reads = "performance.getEntriesByName(location.origin + '/v1/hedges?page_size=100').length"
    before = int(await page.run(reads))
    await servers.post("/v1/cycles:run", {})
    await page.until(f"{reads} > {before}")
    assert await page.run(_HAS_FOCUS)


async def test_what_was_just_changed_can_be_removed_at_once(servers: Visit) -> None:
    """Lists come late: no row may be pressed that is older than what was just saved."""
    rule = {
        "asset": "BTC",
        "metric": "RULE_METRIC_MOVE_PERCENT",
        "direction": "RULE_DIRECTION_BOTH",
        "enabled": True,
        "threshold": 5,
        "window": "3600s",
        "recurrence": "RULE_RECURRENCE_RESET",
        "cooldown": "900s",
    }
    await servers.post("/v1/rules", rule)
    page = await servers.show("/rules")
    page.problems.clear()
    await servers.says("#rules", "moves 5.00 %")
    await page.run("""(() => {
        const real = window.fetch;
        window.fetch = async (path, settings) => {
            const answer = await real(path, settings);
            if (settings?.method === 'GET') await new Promise(done => setTimeout(done, 1500));
            return answer;
        };
    })()""")
    await servers.click("#rules button", "Edit")
    await servers.write("threshold", "7")
    # An answer that was asked for before the change is under way when the list is read again.
    await page.run("import('/web/api.js').then(({ get }) => (get('/v1/rules?page_size=500'), 0))")
    await servers.click("dialog button", "Save")
    await servers.closed()
    assert "moves 7.00 %" in await servers.text("#rules")
    await servers.click("#rules button", "Remove")
    await servers.click("dialog button", "Remove")
    await servers.says("#rules", "No rule yet")
    assert page.problems == []


async def test_rows_take_any_order_and_the_one_with_the_focus_is_never_moved(
    servers: Visit,
) -> None:
    """All orders of four rows, with the focus in each of them, and with rows that come and go."""
    page = await servers.show("/rules")
    told = await page.run("""import('/web/dom.js').then(({ h, arrange }) => {
        const all = ['a', 'b', 'c', 'd'];
        const longer = orders => orders.flatMap(order => all.map(one => [...order, one]));
        const orders = [...Array(4)].reduce((made) => [...made, longer(made.at(-1))], [[[]]])
            .flat().map(order => [...new Set(order)]);
        const wrong = [];
        for (const order of orders) for (const name of all) {
            const list = document.createElement('div');
            document.body.append(list);
            const rows = Object.fromEntries(all.map(one => [one, h('button', {}, one)]));
            arrange(list, all.map(one => rows[one]));
            let lost = 0;
            rows[name].focus();
            rows[name].addEventListener('blur', () => lost++);
            arrange(list, [...order, ...order].map(one => rows[one]));
            const stands = order.includes(name);
            if (list.innerText.replace(/\\s/g, '') !== order.join('') || (stands && lost)
                || (stands && document.activeElement !== rows[name])) wrong.push([order, name]);
            list.remove();
        }
        return [orders.length, wrong];
    })""")
    assert told[0] > 300 and told[1] == []
