"""The report as one HTML file that asks for nothing: no script, no address. Pure."""

from __future__ import annotations

from services.cyclone.report.domain.cells import cell, is_right
from services.cyclone.report.domain.document import Basis, Report, Row, Section
from services.cyclone.report.domain.elements import Markup, element

STYLE = """
:root { color-scheme: dark; --ground: #101418; --raised: #181e24; --line: #2c353d;
  --ink: #e6ebef; --quiet: #9aa7b2; --good: #4cc38a; --warn: #f5b544; --bad: #ff6b6b;
  --low: #6cb6ff; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1400px; padding: 1rem; background: var(--ground);
  color: var(--ink); font: 14px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: 0 0 .3rem; }
h2 { font-size: 1.05rem; margin: 1.6rem 0 .3rem; border-bottom: 1px solid var(--line); }
p { margin: .3rem 0; }
.headline { font-size: 1.1rem; overflow-wrap: anywhere; }
.quiet, .unknown { color: var(--quiet); }
.problem { border-left: 4px solid var(--bad); padding: .3rem .6rem; background: var(--raised);
  overflow-wrap: anywhere; }
.demo { background: var(--warn); color: #000; padding: .2rem .6rem; font-weight: 700; }
nav a { color: var(--low); margin-right: .8rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .25rem .5rem;
  border-bottom: 1px solid var(--line); max-width: 34rem; overflow-wrap: anywhere; }
th { color: var(--quiet); font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.mark { font-weight: 600; }
.HIGH, .FAILED, .ERROR, .DEAD, .losing { color: var(--bad); }
.MEDIUM, .PARTIAL, .WARNING, .BREACH, .STALE { color: var(--warn); }
.LOW { color: var(--low); }
.SUCCEEDED, .NORMAL, .SUCCESS, .SENT { color: var(--good); }
.travel { white-space: nowrap; }
svg { vertical-align: middle; max-width: 100%; }
.track { fill: var(--line); } rect.losing { fill: var(--bad); } rect.winning { fill: var(--good); }
.entry { stroke: var(--quiet); } .tip { fill: var(--ink); }
@media print {
  :root { color-scheme: light; --ground: #fff; --raised: #f4f4f4; --line: #bbb; --ink: #000;
    --quiet: #444; --good: #06613a; --warn: #7a4b00; --bad: #a80000; --low: #00468c; }
  body { max-width: none; padding: 0; font-size: 9pt; }
  nav { display: none; } .wide { overflow: visible; } tr { break-inside: avoid; }
  h2 { break-after: avoid; } thead { display: table-header-group; }
  rect, .mark { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
# Holds wherever the file is opened: it can ask nobody for anything, whatever stands in it.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(report: Report) -> str:
    """The whole file."""
    title = f"Sonic, cycle {report.cycle_id}"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="color-scheme", content="dark"),
        element("title", title),
        # Our own words; an escaped quote would change what they say.
        Markup(f"<style>{STYLE}</style>"),
    )
    body = element("body", element("main", *_top(report, title), *map(_section, report.sections)))
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _top(report: Report, title: str) -> list[Markup]:
    made = f"{report.report_time:%Y-%m-%d %H:%M:%S} UTC"
    links = [element("a", part.title, href=f"#{part.name}") for part in report.sections]
    top = [
        element("h1", title),
        element("p", report.headline, class_="headline"),
        element(
            "p",
            element("span", report.state.name, class_=f"mark {report.state.name}"),
            ". Report of ",
            element("time", made, datetime=report.report_time.isoformat()),
            ". Each part says of which moment it is.",
            class_="quiet",
        ),
    ]
    if report.demo:
        top.insert(0, element("p", "DEMO: prices and positions are simulated", class_="demo"))
    if report.trace_id:
        top.append(element("p", f"Trace {report.trace_id}", class_="quiet"))
    if report.light_line:
        top.append(element("p", report.light_line, class_="quiet"))
    return [*top, element("nav", *links)]


def _section(part: Section) -> Markup:
    return element("section", element("h2", part.title), *_inside(part), id=part.name)


def _inside(part: Section) -> list[Markup]:
    if part.basis is Basis.NOT_READ:
        return [element("p", f"not read: {part.problem}", class_="problem")]
    made = [element("p", *_about(part), class_="quiet")]
    if not part.rows:
        return [*made, element("p", "none")]
    shown = [(one, is_right(one, part.rows)) for one in part.columns]
    heads = [
        element("th", one.title, scope="col", class_="number" if right else None)
        for one, right in shown
    ]
    lines = [
        element("tr", *(cell(one, row.get(one.name), right=right) for one, right in shown))
        for row in part.rows
    ]
    table = element("table", element("thead", element("tr", *heads)), element("tbody", *lines))
    return [*made, element("div", table, class_="wide"), *_rest(part)]


def _about(part: Section) -> list[object]:
    about: list[object] = [
        "as of the cycle" if part.basis is Basis.CYCLE else "as of the moment it was read"
    ]
    if part.basis is Basis.READ and part.read_time is not None:
        moment = f"{part.read_time:%Y-%m-%d %H:%M:%S} UTC"
        about += [", ", element("time", moment, datetime=part.read_time.isoformat())]
    if part.note:
        about += [": ", part.note]
    return about


def _rest(part: Section) -> list[Markup]:
    if not part.more:
        return []
    rest = part.rest_count
    words = f"and {rest:,} more" if rest else "and more, not counted here"
    return [element("p", f"{words}; the worst are shown", class_="quiet")]


def plain_text(report: Report) -> str:
    """What is short enough to be told: the headline and what changed, a line each."""
    lines = [report.headline]
    if report.demo:
        lines.append("DEMO: prices and positions are simulated")
    for part in report.sections:
        if part.name == "changes":
            lines += [_changed(row) for row in part.rows]
        if part.basis is Basis.NOT_READ:
            lines.append(f"{part.title} not read: {part.problem}")
    return "\n".join(lines)


def _changed(row: Row) -> str:
    why = f" ({row['why']})" if row.get("why") else ""
    return f"{row.get('subject')}: {row.get('before')} to {row.get('after')}{why}"
