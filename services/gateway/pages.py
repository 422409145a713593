"""The web page's files, read once: small, static, and nothing that is not in the folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import resources

from starlette.requests import Request
from starlette.responses import Response

# Said here and not guessed: a machine's own table of types may call a module text/plain.
_KINDS = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}


class Pages:
    """`/` is index.html; every file is under /web/."""

    def __init__(self) -> None:
        folder = resources.files("services.gateway") / "web"
        self._files: Mapping[str, tuple[bytes, str, str]] = {
            f"/web/{file.name}": _read(file.name, file.read_bytes())
            for file in folder.iterdir()
            if file.name.rpartition(".")[2] in _KINDS
        }

    def __contains__(self, path: str) -> bool:
        return _file(path) in self._files

    async def answer(self, path: str, request: Request) -> Response:
        """The file, or 304 when the browser has it."""
        content, kind, etag = self._files[_file(path)]
        # Asked again each time, so that a new release is seen at once; unchanged files cost a 304.
        headers = {"ETag": etag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=kind, headers=headers)


def _file(path: str) -> str:
    return "/web/index.html" if path == "/" else path


def _read(name: str, content: bytes) -> tuple[bytes, str, str]:
    return content, _KINDS[name.rpartition(".")[2]], f'"{hashlib.sha256(content).hexdigest()[:20]}"'
