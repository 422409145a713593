"""Holds the source to its plan: rooms, ceilings, names, who may know whom; runs none of it."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ROOT / "services"
PROTOS = ROOT / "protos" / "sonic"

FILE_CEILING_LINES = 400
TEST_CEILING_LINES = 450
FUNCTION_CEILING_LINES = 50
RPC_CEILING = 15
DOCSTRING_CEILING_LINES = 6

_FLOW = ("server", "servicer", "service", "domain", "store", "tables", "migrations")
ROOMS = {*_FLOW, "loop", "clients"}
EXTRA_ROOMS = {
    "price": {"sources"},
    "positions": {"venues"},
    "xcom": {"senders"},
    "monitor": {"checks"},
    "withdrawals": {"sources"},
}
# The nouns of a service that has several: a folder each, with rooms of these names inside.
NOUNS: dict[str, set[str]] = {
    "alerts": {
        "alerts",
        "thresholds",
        "price_rules",
        "silences",
        "notifications",
        "ledger",
        "position_events",
        "backtest",
        "threshold_versions",
        "recorder",
        "scorecard",
    },
    "positions": {
        "positions",
        "accounts",
        "enrichment",
        "events",
        "extremes",
        "sync",
        "wallets",
        "portfolio",
        "risk",
        "files",
        "sessions",
        "touch_record",
        "streams",
    },
    "xcom": {"messages", "deliveries", "channels", "escalation", "calls", "replies", "windows"},
    "price": {"prices", "history"},
    "monitor": {"monitors", "badges", "runs"},
    "cyclone": {"cycles", "drills", "report", "restores", "results", "sleep", "monthly"},
    "withdrawals": {"assets", "supply", "gains", "gate", "prices", "decisions", "series"},
}
# A gateway and a command line hold no domain: their rooms are their own.
FREE_ROOMS = {"cli", "gateway"}
FORBIDDEN_NAMES = {
    "utils",
    "helpers",
    "common",
    "base",
    "manager",
    "managers",
    "types",
    "models",
    "misc",
    "data",
}
TRADE_WORDS = {"position", "alert", "price", "hedge", "wallet", "liquidation"}
# Libraries that only compute, and the pure part of shared.
PURE = {
    "numpy",
    "zstandard",  # as pure as the standard library's zlib
    "bech32",
    "Crypto",
    "shared.backoff",
    "shared.errors",
    "shared.secret_shapes",
    "shared.base58",
    "shared.texts",
    "shared.marks",
    "shared.touch",
    "shared.versions.domain",
}

SERVICE_NAMES = (
    "price",
    "positions",
    "hedges",
    "alerts",
    "monitor",
    "xcom",
    "cyclone",
    "withdrawals",
)
ANY = set(SERVICE_NAMES)
# The wire between services, as the plan has it.
CALLS: dict[str, set[str]] = {
    "gateway": ANY,
    "cli": ANY,
    "cyclone": {"price", "positions", "hedges", "alerts", "monitor", "withdrawals", "xcom"},
    "monitor": {"price", "positions", "alerts", "xcom", "withdrawals"},
    "alerts": {"positions", "xcom"},
    "hedges": {"positions"},
    "positions": {"price"},
    "withdrawals": {"price", "alerts"},
    "price": set(),
    "xcom": set(),
}


@cache
def modules(*roots: str) -> tuple[Path, ...]:
    """Python files of ours under these folders of the repository."""
    return tuple(
        sorted(
            path
            for root in roots
            for path in (ROOT / root).rglob("*.py")
            if "__pycache__" not in path.parts
        )
    )


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def opening(path: Path) -> str | None:
    """The docstring of a file, read without the rest of it."""
    found = re.match(r'(?:#.*\n|\s)*"""(.*?)"""', path.read_text(), re.DOTALL)
    return found and found[1].strip()


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def folders() -> list[Path]:
    return sorted(
        path for path in SERVICES.iterdir() if path.is_dir() and path.name != "__pycache__"
    )


@cache
def imported(path: Path) -> tuple[str, ...]:
    """Every module a file names, `from a import b` as a.b."""
    found: list[str] = []
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += (f"{node.module}.{alias.name}" for alias in node.names)
    return tuple(found)


def under(name: str, roots: set[str]) -> bool:
    return any(name == root or name.startswith(f"{root}.") for root in roots)


def test_every_room_of_a_service_has_a_name_of_the_plan() -> None:
    strangers = [
        shown(path)
        for folder in folders()
        if folder.name not in FREE_ROOMS
        for path in folder.iterdir()
        if path.stem
        not in ROOMS
        | EXTRA_ROOMS.get(folder.name, set())
        | NOUNS.get(folder.name, set())
        | {"__init__", "__pycache__", "py"}
    ]
    assert not strangers


def test_every_service_is_one_of_the_plan() -> None:
    assert {folder.name for folder in folders()} <= ANY | FREE_ROOMS


def test_no_room_is_both_a_file_and_a_folder() -> None:
    doubled = [
        shown(path)
        for path in modules("services", "shared")
        if path.name != "__init__.py" and path.with_suffix("").is_dir()
    ]
    assert not doubled


def test_no_module_has_a_name_that_says_nothing() -> None:
    empty_words = [
        shown(path)
        for path in modules("services", "shared", "tests")
        if (path.parent.name if path.name == "__init__.py" else path.stem) in FORBIDDEN_NAMES
        or re.search(r"[a-z]\d$", path.stem)
    ]
    assert not empty_words


# One file each, which gives what every file of its folder gives: there a name means the same each
# time.
PLUG_INS = {"sources", "venues", "senders", "checks", "server.py"}


@pytest.mark.parametrize("folder", folders(), ids=lambda folder: folder.name)
def test_a_public_name_of_a_service_means_one_thing(folder: Path) -> None:
    found: dict[str, list[str]] = {}
    for path in modules(shown(folder)):
        parts = path.relative_to(folder).parts
        for node in parsed(path).body if "migrations" not in parts else []:
            is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            if is_function and parts[0] in PLUG_INS:
                continue
            if is_function or isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(shown(path))
    assert not {name: paths for name, paths in found.items() if name[0] != "_" and len(paths) > 1}


def test_no_file_is_longer_than_its_ceiling() -> None:
    long = [
        f"{shown(path)}: {count} lines"
        for path in modules("services", "shared", "tests")
        if (count := len(path.read_text().splitlines()))
        > (TEST_CEILING_LINES if path.is_relative_to(ROOT / "tests") else FILE_CEILING_LINES)
    ]
    assert not long


@pytest.mark.slow
def test_no_function_is_longer_than_its_ceiling() -> None:
    long = [
        f"{shown(path)}: {node.name}: {count} lines"
        for path in modules("services", "shared")
        if not {"versions", "before"} & set(path.parts)
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (count := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_CEILING_LINES
    ]
    assert not long


def test_every_module_opens_with_what_it_is_for() -> None:
    silent = []
    for path in modules("services", "shared", "tests"):
        said = opening(path)
        # An empty __init__ is only a folder; revisions speak through their own fields.
        if said is None and (
            path.read_text().strip() == "" or {"versions", "before"} & set(path.parts)
        ):
            continue
        if said is None or len(said.splitlines()) > DOCSTRING_CEILING_LINES:
            silent.append(shown(path))
        # The import contracts hold what it does not know.
        elif re.search(r"\b[Kk]nows (no|nothing|not|neither)\b", said):
            silent.append(f"{shown(path)}: say what it does")
    assert not silent


def test_no_proto_service_has_more_calls_than_its_ceiling() -> None:
    crowded = []
    for path in PROTOS.rglob("*.proto"):
        for name, body in re.findall(
            r"^service (\w+) \{(.*?)^\}", path.read_text(), re.DOTALL | re.MULTILINE
        ):
            count = len(re.findall(r"^\s+rpc ", body, re.MULTILINE))
            if count > RPC_CEILING:
                crowded.append(f"{name}: {count}")
    assert not crowded


def test_every_proto_lives_where_its_package_says_and_imports_no_other_of_ours() -> None:
    for path in PROTOS.rglob("*.proto"):
        text = path.read_text()
        package = re.search(r"^package ([\w.]+);", text, re.MULTILINE)
        assert package is not None
        assert path.parent.relative_to(PROTOS.parent).as_posix() == package[1].replace(".", "/")
        own = path.parent.relative_to(PROTOS.parent).as_posix()
        others = re.findall(r'^import "(sonic/[^"]+)"', text, re.MULTILINE)
        assert all(name.startswith(own) for name in others), shown(path)


def words(path: Path) -> Iterator[str]:
    """The words of every name, string and comment of a file, camel and snake taken apart,
    singular."""
    for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", path.read_text()):
        yield word.lower().removesuffix("s")


def test_shared_plumbing_holds_no_word_of_the_trade() -> None:
    spoken = {
        f"{shown(path)}: {word}"
        for path in modules("shared")
        for word in words(path)
        if word in TRADE_WORDS
    }
    assert not spoken


@pytest.mark.slow
def test_domains_know_the_standard_library_numpy_zstd_and_the_pure_part_of_shared_only() -> None:
    impure = [
        f"{shown(path)}: {name}"
        for path in modules("services")
        if is_domain(path)
        for name in imported(path)
        if not under(name, PURE | own_domains(path)) and name.split(".")[0] in foreign_roots()
    ]
    assert not impure


def is_domain(path: Path) -> bool:
    inside = path.relative_to(SERVICES).with_suffix("").parts
    return "domain" in inside[1:3]


def own_domains(path: Path) -> set[str]:
    """What a domain may import of its service: every domain there."""
    service = path.relative_to(SERVICES).parts[0]
    tops = [f"services.{service}.{noun}" for noun in NOUNS.get(service, ())]
    return {f"{top}.domain" for top in (f"services.{service}", *tops)}


@cache
def foreign_roots() -> frozenset[str]:
    """Top packages outside the standard library, found by looking at what the whole source
    imports."""
    names = {
        name.split(".")[0] for path in modules("services", "shared") for name in imported(path)
    }
    return frozenset(names - sys.stdlib_module_names)


def test_domains_ask_no_clock() -> None:
    asking = re.compile(
        r"\b(datetime\.now|datetime\.utcnow|date\.today|time\.time|time\.monotonic)\("
    )
    assert not [
        shown(path)
        for path in modules("services")
        if is_domain(path) and asking.search(path.read_text())
    ]


def test_a_wait_that_doubles_is_reckoned_in_one_place() -> None:
    doubling = re.compile(r"(?i)seconds\b.*\* ?2(\.0)?( ?\*\*|[,)])|backoff_seconds = \(")
    found = {one for one in modules("services", "shared") if doubling.search(one.read_text())}
    assert {shown(one) for one in found} == {"shared/backoff.py"}


def called(folder: Path) -> set[str]:
    """The other services whose stubs a service imports."""
    names = {name for path in folder.rglob("*.py") for name in imported(path)}
    found = {match[1] for name in names if (match := re.match(r"sonic\.(\w+)\.v\d", name))}
    return found - {folder.name}


@pytest.mark.parametrize("folder", folders(), ids=lambda folder: folder.name)
def test_a_service_calls_only_whom_the_plan_lets_it(folder: Path) -> None:
    assert called(folder) <= CALLS[folder.name]


@pytest.mark.parametrize("folder", folders(), ids=lambda folder: folder.name)
def test_peers_are_spoken_to_in_clients_only(folder: Path) -> None:
    if folder.name in FREE_ROOMS:
        pytest.skip("a client like any other")
    elsewhere = [
        f"{shown(path)}: {name}"
        for path in folder.rglob("*.py")
        if path.relative_to(folder).parts[0] not in {"clients.py", "clients"}
        for name in imported(path)
        if re.match(r"sonic\.\w+\.v\d", name) and name.split(".")[1] != folder.name
    ]
    assert not elsewhere


def test_the_drawing_shows_the_calls_of_the_plan() -> None:
    page = ROOT / "ARCHITECTURE.md"
    drawing = re.search(r"```mermaid\s+graph(.*?)```", page.read_text(), re.DOTALL)
    assert drawing is not None
    drawn = set(re.findall(r"^\s*(\w+) --> (\w+)\s*$", drawing[1], re.MULTILINE))
    # A service that has no server yet calls nobody.
    servers = {folder.name for folder in folders() if (folder / "server.py").exists()}
    here = servers | FREE_ROOMS | {path.name for path in PROTOS.iterdir() if path.is_dir()}
    planned = {(caller, callee) for caller, callees in CALLS.items() for callee in callees}
    assert drawn <= planned
    assert {(caller, callee) for caller, callee in planned if {caller, callee} <= here} <= drawn


def test_the_calls_have_no_ring() -> None:
    settled: set[str] = set()
    while waiting := {
        name for name, callees in CALLS.items() if name not in settled and callees <= settled
    }:
        settled |= waiting
    assert settled == set(CALLS)


def test_no_file_names_a_package_registry_or_a_place_of_one_machine() -> None:
    # Put together here so that this file passes its own test.
    unwanted = [
        "py" + "pi.",
        "python" + "hosted",
        "conda." + "anaconda",
        "--index" + "-url ",
        "registry." + "npmjs",
    ]
    naming = []
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.suffix in {".png", ".binpb", ".ico", ".woff2"} or not path.is_file():
            continue
        text = path.read_text(errors="replace")
        naming += [f"{name}: {word}" for word in unwanted if word in text]
    assert not naming


def test_locks_pin_by_hash_and_by_no_address() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        pins = re.findall(r"^[A-Za-z].*(?:\n +.*)*", text, re.MULTILINE)
        assert pins
        assert not [pin.split()[0] for pin in pins if "--hash=sha256:" not in pin]


def test_no_suppression_goes_without_its_rule() -> None:
    bare = re.compile(r"#\s*(type:\s*ignore(?!\[)|noqa(?!:))")
    assert not [
        shown(path) for path in modules("services", "shared") if bare.search(path.read_text())
    ]
