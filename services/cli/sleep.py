"""`sonic sleep`: one answer before going to bed."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Annotated, Final

import typer
from rich.text import Text
from sonic.cyclone.v1 import cyclone_pb2 as pb
from sonic.cyclone.v1 import cyclone_pb2_grpc as rpc

from services.cli.connection import connected
from services.cli.output import command, console, print_json
from shared.codec import to_duration

_SECONDS = 20.0
_STYLES = {"GREEN": "green", "AMBER": "yellow", "RED": "bold red"}
_EXIT_CODES = {pb.SLEEP_VERDICT_GREEN: 0, pb.SLEEP_VERDICT_AMBER: 1, pb.SLEEP_VERDICT_RED: 2}
# Who does not answer watches nothing: that is not to be taken for AMBER.
_NOT_KNOWN: Final = _EXIT_CODES[pb.SLEEP_VERDICT_RED]


@partial(command, failed_code=_NOT_KNOWN)
async def sleep(
    hours: Annotated[float, typer.Option(min=0.1, max=24, help="For how long.")] = 8,
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> int:
    """Can I sleep? What could hurt tonight, who would be woken, what is kept quiet.

    Exit code 0 GREEN, 1 AMBER, 2 RED or nobody answers. Example: sonic sleep --hours 9
    """
    async with connected() as found:
        stub = await found.stub("cyclone", rpc.SleepServiceStub)
        request = pb.CanISleepRequest(duration=to_duration(timedelta(hours=hours)))
        answer = await stub.CanISleep(request, timeout=_SECONDS)
    if json:
        print_json(answer)
        return _EXIT_CODES[answer.verdict]
    verdict = _word(answer.verdict)
    console.print(Text(verdict, style=_STYLES[verdict]).append(f"  for {hours:g} h", "default"))
    for reason in answer.reasons:
        word = _word(reason.verdict)
        line = Text(f"  {word:<6}", style=_STYLES[word])
        console.print(line.append(reason.message, style="default"))
    return _EXIT_CODES[answer.verdict]


def _word(verdict: pb.SleepVerdict.ValueType) -> str:
    return pb.SleepVerdict.Name(verdict).removeprefix("SLEEP_VERDICT_")
