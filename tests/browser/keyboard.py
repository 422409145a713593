"""What a person without a mouse does: Tab to what is called so, Enter, Space, arrows, typing."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from tests.browser.visit import Visit

_MOST_TABS = 400
# As a reader of the screen calls it.
_CALLED = """(() => {
    const node = document.activeElement;
    const own = node.getAttribute('aria-label') ?? node.labels?.[0]?.innerText;
    const acts = 'a, button, input, select, textarea, summary, [role=region], [role=group],'
        + ' [role=button]';
    return node.closest(%s) && node.matches(acts)
        // A group is called by its name alone: its words are those of what is in it.
        && (own ?? (node.matches('[role=group]') ? '' : node.innerText) ?? '').includes(%s);
})()"""
_SAID = "...document.querySelectorAll('dialog, #toasts')].map(one => one.innerText ?? one)"
_LIMIT_SECONDS = 60.0
_FOCUSED = "document.activeElement !== document.body"


class Keyboard:
    """The keys before one browser; `within` is a selector, `words` a part of what it is called."""

    def __init__(self, visit: Visit) -> None:
        self.visit = visit
        self.page = visit.page

    async def open(self, path: str) -> None:
        """A page, and by its first link past what every page begins with."""
        self.page = await self.visit.show(path)
        await self.to("To the content", "body")
        await self.page.key("Enter")

    async def to(self, words: str, within: str = "main") -> None:
        """By Tab alone."""
        script = _CALLED % (json.dumps(within), json.dumps(words))
        for _ in range(_MOST_TABS):
            if await self.page.run(script):
                return
            await self.page.key("Tab")
        raise AssertionError(f"Tab never came to {words} in {within}")

    async def press(self, words: str, within: str = "main", key: str = "Enter") -> None:
        await self.to(words, within)
        # What is under way hears of no second press.
        await self.page.until("!document.activeElement.ariaDisabled")
        await self.page.key(key)

    async def write(self, words: str, text: str, within: str = "dialog") -> None:
        """Into a field: what stands there is replaced, as after Tab."""
        await self.to(words, within)
        await self.page.run("document.activeElement.select()")
        await self.page.type(text)

    async def choose(self, words: str, option: str, within: str = "dialog") -> None:
        """By the arrows."""
        await self.to(words, within)
        chosen = "document.activeElement.selectedOptions[0].text"
        for way in ("ArrowDown", "ArrowUp"):
            for _ in range(40):
                if await self.page.run(chosen) == option:
                    return
                await self.page.key(way)
        raise AssertionError(f"the arrows never came to {option}")

    async def asked(self, title: str) -> None:
        """Waits for a dialog, which has the focus."""
        place = f"document.querySelector('dialog[aria-label*={json.dumps(title)}]')"
        await self.page.until(f"!!{place}?.contains(document.activeElement)")

    async def keeps_its_place(self) -> None:
        """Nothing is open any more, and the next Tab does not begin at the top of the page."""
        await self.visit.closed()
        await self.page.until(_FOCUSED)

    async def file(self, name: str) -> str:
        """What the browser saved under this name."""
        return await self.page.saved(name)

    async def stored(self, path: str, fits: Callable[[Any], bool]) -> Any:
        """Waits until what the server holds fits."""
        end = time.monotonic() + _LIMIT_SECONDS
        while not fits(found := await self.visit.get(path)):
            if time.monotonic() > end:
                said = await self.page.run("[document.activeElement.outerHTML, " + _SAID)
                raise AssertionError(f"{path} never fits: {found}; the page says {said}")
            await asyncio.sleep(0.05)
        return found


# What is done by keys, to its stored effect.
Act = Callable[[Keyboard], Awaitable[None]]
