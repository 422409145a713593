"""What is the same for everybody: the web page's files, and the document of the routes."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from importlib import resources
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import Response

from services.gateway import openapi
from services.gateway.encoding import LEAST_BYTES, accepts_gzip
from services.gateway.surface import Route
from shared.rpc import comments

# Said here and not guessed: a machine's own table of types may call a module text/plain.
_KINDS = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
# One document for every page of the router, web/router.js, which has the same paths.
_SHELL = "/web/index.html"
PAGES = (
    "/",
    "/positions",
    "/positions/{id}",
    "/alerts",
    "/thresholds",
    "/rules",
    "/monitors",
    "/deliveries",
    "/hedges",
    "/wallets",
    "/cycles",
    "/cycles/{id}",
    "/prices",
    "/backtest",
    "/replay",
    "/scorecard",
    "/withdrawals",
    "/portfolio",
    "/sleep",
    "/logs",
)
_PATTERNS = [(page, re.compile(re.sub(r"\{\w+\}", "[^/]+", page))) for page in PAGES]
_DOCUMENT = "/openapi.json"
FILES_BELOW = "/web/"
# A file of ours as pages, modules and sheets name it.
_NAMED = re.compile(rb"""(["'`])/web/""")
_FIRST_MODULE = "app.js"
_AGAIN_MS = 3000


class Static:
    """Bytes that do not change while the process lives, and what is made of them once.
    `for_ever`: those of this name never will, so that a browser need not ask again.
    """

    def __init__(self, content: bytes, kind: str, *, for_ever: bool = False) -> None:
        self._content = content
        self._kind = kind
        # Else asked again each time, so that a new release is seen at once; a 304 if unchanged.
        self._kept = "max-age=31536000, immutable" if for_ever else "no-cache"
        self._etag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
        self._small: bytes | None = None

    async def answer(self, request: Request) -> Response:
        """The file, as gzip where that is taken, or 304 when the browser has it."""
        headers = {"ETag": self._etag, "Cache-Control": self._kept, "Vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == self._etag:
            return Response(status_code=304, headers=headers)
        accepted = request.headers.get("accept-encoding", "")
        if len(self._content) < LEAST_BYTES or not accepts_gzip(accepted):
            return Response(self._content, media_type=self._kind, headers=headers)
        if self._small is None:
            self._small = await asyncio.to_thread(gzip.compress, self._content, mtime=0)
        headers["Content-Encoding"] = "gzip"
        return Response(self._small, media_type=self._kind, headers=headers)


class Pages:
    """The pages by their names; every file is under /web/; the document of the routes.

    A page names its files below `/web/r-<hash of all of them>/`, where they are kept for ever: it
    is opened with two questions instead of forty. By the plain name of a module comes the same
    module.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        folder = resources.files("services.gateway") / "web"
        self._routes = routes
        files = {
            name: file.read_bytes()
            for name, file in sorted(_inside(folder))
            if file.name.rpartition(".")[2] in _KINDS
        }
        whole = hashlib.sha256(b"".join(name.encode() + b"\0" + files[name] for name in files))
        self._release = f"{FILES_BELOW}r-{whole.hexdigest()[:16]}/"
        self._files: dict[str, Static] = {}
        for name, content in files.items():
            kind = _KINDS[name.rpartition(".")[2]]
            named = _NAMED.sub(rb"\1" + self._release.encode(), content)
            self._files[self._release + name] = Static(named, kind, for_ever=True)
            plain = _by_plain_name(name, content, named, self._release)
            self._files[FILES_BELOW + name] = Static(plain, kind)

    def __contains__(self, path: str) -> bool:
        return path == _DOCUMENT or _file(path) in self._files

    def label(self, path: str) -> str:
        """The path without what it names: `/positions/{id}`, for counting."""
        path = path.replace(self._release, FILES_BELOW)
        return next((page for page, pattern in _PATTERNS if pattern.fullmatch(path)), path)

    async def answer(self, path: str, request: Request) -> Response:
        """See Static."""
        if path == _DOCUMENT and path not in self._files:
            # Seldom asked for, and a tenth of a second of work.
            self._files[path] = await asyncio.to_thread(_document, self._routes)
        return await self._files[_file(path)].answer(request)


def _by_plain_name(name: str, content: bytes, named: bytes, release: str) -> bytes:
    """What a file is without its release: of a module the one there is, and never another copy."""
    if name == _FIRST_MODULE:
        # While a release takes the place of another, one of two gateways may not have it yet.
        again = f"setTimeout(() => location.reload(), {_AGAIN_MS})"
        return f'import("{release}{name}").catch(() => {again});\n'.encode()
    if name.endswith(".js") and not name.startswith("vendor/"):
        return f'export * from "{release}{name}";\n'.encode()
    if name.endswith(".html"):
        first = FILES_BELOW + _FIRST_MODULE
        return named.replace(f'src="{release}{_FIRST_MODULE}"'.encode(), f'src="{first}"'.encode())
    return content


def _document(routes: Sequence[Route]) -> Static:
    text = json.dumps(
        openapi.document(routes, comments.packaged()), ensure_ascii=False, separators=(",", ":")
    )
    return Static(text.encode(), "application/json")


def _inside(folder: Traversable, before: str = "") -> Iterator[tuple[str, Traversable]]:
    """Every file with its path below the folder."""
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _inside(entry, f"{before}{entry.name}/")
        else:
            yield f"{before}{entry.name}", entry


def _file(path: str) -> str:
    return _SHELL if any(pattern.fullmatch(path) for _, pattern in _PATTERNS) else path
