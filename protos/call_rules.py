"""The table of methods and their callers, read from protos/callers.txt and written as Python."""

from collections.abc import Iterable, Mapping

Rules = Mapping[str, tuple[str, ...]]
# Not of ours, and not open to everybody either.
FOREIGN = "grpc.channelz.v1.Channelz/"


def parsed(text: str) -> Rules:
    """Callers by method or by fields with a plus between; ValueError for a line that is no rule."""
    rules: dict[str, tuple[str, ...]] = {}
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    for line in lines:
        name, colon, callers = line.partition(": ")
        if not colon or not callers.split() or name in rules:
            raise ValueError(f"no rule, or a second one: {line!r}")
        rules[name] = tuple(callers.split())
    methods = [name for name in rules if "/" in name]
    if methods != sorted(methods):
        raise ValueError("the methods are not sorted")
    return rules


def problems(rules: Rules, methods: Iterable[str]) -> list[str]:
    """A method without a rule, and a rule without a method."""
    known, ruled = set(methods), {name for name in rules if "/" in name}
    strange = {name for name in ruled - known if not name.startswith(FOREIGN)}
    return [
        *(f"protos/callers.txt: no rule, so nobody may call {name}" for name in known - ruled),
        *(f"protos/callers.txt: there is no {name}" for name in strange),
    ]


def module(rules: Rules, note: str) -> str:
    """The table as Python: full methods with a slash in front, as gRPC names them."""
    lines = []
    for name, callers in rules.items():
        listed = ", ".join(f'"{caller}"' for caller in sorted(callers))
        path = f"/{name}" if "/" in name else name
        lines.append(f'    "{path}": frozenset({{{listed}}}),')
    head = ["from collections.abc import Mapping", "", "CALLERS: Mapping[str, frozenset[str]] = {"]
    return "\n".join([note, *head, *lines, "}", ""])
