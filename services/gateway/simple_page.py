"""A page of one question, without a script: what links of messages and signing in show."""

from __future__ import annotations

from html import escape

from starlette.responses import Response

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    # The form's answer must say that it comes from here; nobody else hears of the address.
    "Referrer-Policy": "same-origin",
    "X-Robots-Tag": "noindex, nofollow",
}
_STYLE = """
:root { color-scheme: dark light; }
body { margin: 0 auto; max-width: 34rem; padding: 1.5rem; background: #101418; color: #e6ebef;
  font: 18px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.3rem; } .quiet { color: #9aa7b2; } .HIGH { color: #ff6b6b; }
.MEDIUM { color: #f5b544; } .LOW { color: #6cb6ff; }
button { font: inherit; padding: .8rem 1.2rem; margin: .4rem .6rem .4rem 0; border-radius: .4rem;
  border: 1px solid #9aa7b2; background: #181e24; color: inherit; min-height: 3rem; }
input { font: inherit; display: block; width: 100%; box-sizing: border-box; padding: .7rem;
  margin: .3rem 0 .8rem; border: 1px solid #9aa7b2; border-radius: .4rem; background: #181e24;
  color: inherit; } input:focus { outline: 3px solid #6cb6ff; }
button.first { background: #0b6b43; color: #fff; } button:focus { outline: 3px solid #6cb6ff; }
"""


def page(status: int, title: str, words: str, inside: str = "") -> Response:
    """`inside` is markup already."""
    text = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} - Sonic</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1><p>{escape(words)}</p>{inside}</main></body></html>\n"
    )
    return Response(text, status, media_type="text/html", headers=_HEADERS)
