"""All that a click does is reached by Tab on every page, and seen when it is; positions are entered
by keys alone. Needs a Chromium; without one it is skipped, and counted so.
"""

from __future__ import annotations

import pytest

from services.gateway.pages import PAGES
from tests.browser.visit import LOADED, MARKUP, NEEDS_BROWSER, Visit, servers
from tests.chaos.conftest import home

__all__ = ["home", "servers"]

pytestmark = NEEDS_BROWSER
# Before a page's own scripts: who hears of a click.
_LISTEN = """(() => {
    window.heard = new Set();
    const add = EventTarget.prototype.addEventListener;
    EventTarget.prototype.addEventListener = function (kind, ...rest) {
        if (/^(dbl)?click$|^(mouse|pointer)(down|up)$/.test(kind)) window.heard.add(this);
        return add.call(this, kind, ...rest);
    };
})()"""
# What a mouse can press, or looks so, and no key: not within what takes the focus. A chart's canvas
# is read and zoomed by the keys of the chart; nothing else of a chart is.
_MOUSE_ALONE = """(() => {
    const keyed = 'a[href], button, input, select, textarea, summary, label, [tabindex="0"]';
    const reached = node => {
        const place = node.closest(keyed);
        if (!place?.matches('.chart')) return place;
        const name = node.closest('.u-series')?.querySelector('[role=button][tabindex="0"]');
        return node.matches('.u-over, .u-wrap') || name;
    };
    const looks = [...document.querySelectorAll('body *')]
        .filter(node => getComputedStyle(node).cursor === 'pointer');
    return [...window.heard, ...looks]
        .filter(node => node instanceof Element && node !== document.body && node.isConnected)
        .filter(node => node.checkVisibility() && !reached(node))
        .map(node => node.outerHTML.slice(0, 160));
})()"""
_WATCH = """(() => {
    const words = node => [node.tagName, (node.getAttribute('aria-label') ?? node.innerText ?? '')
        .trim().slice(0, 40), node.name ?? '', node.title.slice(0, 20)].join(' ')
        .replace(/[\\d.,]+( (s|min|h|d)\\b)?/g, '#');
    window.words = words;
    window.met = new Set();
    window.unseen = new Set();
    window.pressed = 0;
    document.addEventListener('focusin', ({ target }) => {
        met.add(words(target));
        const style = getComputedStyle(target);
        const parent = getComputedStyle(target.parentElement);
        const marked = [style, parent].some(one => one.outlineStyle !== 'none'
            || one.boxShadow !== 'none');
        if (!marked) unseen.add(words(target));
    });
})()"""
_ACTS = """[...document.querySelectorAll(
    'a[href], button, input, select, textarea, summary, [tabindex="0"]')]
    .filter(node => node.checkVisibility({ visibilityProperty: true }) && !node.disabled)"""


@pytest.fixture(scope="module")
async def heard(servers: Visit) -> Visit:
    """Every page it opens notes who hears of a click."""
    await servers.page.show("about:blank")
    await servers.page.ask("Page.addScriptToEvaluateOnNewDocument", source=_LISTEN)
    return servers


async def test_what_only_a_mouse_could_press_would_be_found(heard: Visit) -> None:
    page = await heard.show("/rules")
    assert await page.run(_MOUSE_ALONE) == []
    await page.run("""document.querySelector('main').append(...['p', 'q'].map(tag => {
        const made = document.createElement(tag);
        made.textContent = 'press me';
        if (tag === 'p') made.addEventListener('click', () => 0);
        else made.style.cursor = 'pointer';
        return made;
    }))""")
    found = await page.run(_MOUSE_ALONE)
    assert found == ["<p>press me</p>", '<q style="cursor: pointer;">press me</q>']


@pytest.mark.parametrize("path", PAGES)
async def test_all_that_can_be_done_is_reached_by_tab_and_seen_then(
    heard: Visit, path: str
) -> None:
    page = await heard.show(await heard.address(path))
    assert await page.run(_MOUSE_ALONE) == []
    await page.run(_WATCH)
    count = int(await page.run(f"{_ACTS}.length"))
    assert count > 10
    # What comes only when something else has the focus is met the second time around.
    for _ in range(2):
        for _ in range(count + 20):
            await page.key("Tab")
        missed = await page.run(f"{_ACTS}.map(words).filter(one => !met.has(one))")
        if not missed:
            break
    assert missed == []
    assert await page.run("[...unseen]") == []


async def _tab_to(servers: Visit, words: str) -> None:
    active = "document.activeElement"
    for _ in range(400):
        if await servers.page.run(
            f"{active}.tagName === 'BUTTON' && {active}.innerText === '{words}'"
        ):
            return
        await servers.page.key("Tab")
    raise AssertionError(f"Tab never came to {words}")


async def _open(servers: Visit, words: str) -> None:
    """By Tab and Enter."""
    await _tab_to(servers, words)
    await servers.page.key("Enter")
    said = "document.querySelector('#toasts .alert')?.innerText"
    await servers.page.until(f"document.querySelector('dialog form') !== null || {said}")
    assert await servers.page.run(said) is None


async def test_a_position_is_added_edited_and_removed_by_keys_alone(servers: Visit) -> None:
    prices = (await servers.get("/v1/prices"))["prices"]
    price = next(one["price_usd"] for one in prices if one["asset"] == "SOL")
    page = await servers.show("/positions")
    assert not await _there(servers)
    await _open(servers, "Add position")
    field = "document.activeElement.closest('[data-field]')?.dataset.field"
    wrong = {"entry_price_usd": "1e3x", "liquidation_price_usd": f"{price * 2:.2f}"}
    typed = {"asset": "sol", "size_usd": "3000", "collateral_usd": "600", **wrong}
    for _ in range(12):
        if text := typed.get(str(await page.run(field))):
            await page.type(text)
        await page.key("Tab")
    await _tab_to(servers, "Add position")
    await page.key("Enter")
    await servers.says("dialog [data-field=entry_price_usd]", "is not a number")
    # Far from the market: the server says so, beside the same field.
    await servers.write("entry_price_usd", f"{price * 50:.2f}")
    await servers.write("liquidation_price_usd", "")
    await servers.click("dialog button", "Add position")
    await servers.says("dialog [data-field=entry_price_usd]", "check decimal sign")
    await servers.write("entry_price_usd", f"{price:.2f}")
    await servers.write("liquidation_price_usd", f"{price * 2:.2f}")
    await servers.click("dialog button", "Add position")
    await servers.says("dialog [data-field=liquidation_price_usd]", "below the entry price")
    assert not await _there(servers)
    await servers.write("liquidation_price_usd", f"{price * 0.8:.2f}")
    await servers.write("note", MARKUP)
    await servers.click("dialog button", "Add position")
    await servers.closed()
    (made,) = (await servers.get("/v1/positions?wallet=manual"))["positions"]
    assert (made["asset"], made["side"], made["size_usd"]) == ("SOL", "SIDE_LONG", 3000)
    assert made["note"] == MARKUP

    page = await servers.show(f"/positions/{made['id']}")
    await _open(servers, "Edit")
    await page.key("Escape")
    await servers.closed()
    assert await page.run("document.activeElement.innerText") == "Edit"
    await _open(servers, "Edit")
    await servers.write("collateral_usd", "-1")
    await servers.click("dialog button", "Save")
    await servers.says("dialog [data-field=collateral_usd]", "at least 0")
    await servers.write("collateral_usd", "750")
    await servers.write("liquidation_price_usd", "")
    await servers.click("dialog button", "Save")
    await servers.closed()
    after = await servers.get(f"/v1/positions/{made['id']}")
    assert after["collateral_usd"] == 750 and after.get("liquidation_price_usd") is None
    await page.until(LOADED)
    await _tab_to(servers, "Remove")
    await page.key("Enter")
    await page.until("document.querySelector('dialog') !== null")
    await _tab_to(servers, "Remove")
    await page.key("Enter")
    await page.until("location.pathname === '/positions'")
    assert (await servers.web.get(f"/v1/positions/{made['id']}")).status_code == 404


async def _there(servers: Visit) -> bool:
    """Whether there is a wallet of positions by hand that is not the test's."""
    return (await servers.web.get("/v1/positions?wallet=manual")).status_code == 200
