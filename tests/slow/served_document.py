"""A gateway before services that hold a request against the rules of its proto and answer with
nothing.

It is a process of its own: whoever sends to it imports as he goes, and two threads that import at
the same time break Python 3.11's parser.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import sys
from collections.abc import AsyncIterator
from typing import Any

from services.gateway import server
from services.gateway.surface import FILES, message_class
from shared import log
from shared.lifecycle import App
from shared.rpc.server import GrpcServer


def _servicer(service: Any) -> object:
    async def answer(_self: object, request: object, context: object) -> Any:
        return made[type(request)]()

    async def stream(_self: object, request: object, context: object) -> AsyncIterator[Any]:
        yield made[type(request)]()

    made = {message_class(m.input_type): message_class(m.output_type) for m in service.methods}
    return type(
        "Servicer", (), {m.name: stream if m.server_streaming else answer for m in service.methods}
    )()


@contextlib.asynccontextmanager
async def _system() -> AsyncIterator[str]:
    async with contextlib.AsyncExitStack() as stack:
        added: list[Any] = []
        for name, file in FILES.items():
            stubs = importlib.import_module(f"sonic.{name}.v1.{name}_pb2_grpc")
            added += [
                (getattr(stubs, f"add_{service.name}Servicer_to_server"), _servicer(service))
                for service in file.services_by_name.values()
            ]
        stub = GrpcServer("127.0.0.1:0", added, service_names=["sonic.price.v1.PriceService"])
        app = await stack.enter_async_context(App("services", [stub]))
        addresses = {f"{name}_address": app.address for name in FILES}
        config = server.Config.model_validate({"listen_address": "127.0.0.1:0", **addresses})
        gateway = await stack.enter_async_context(server.build(config))
        yield f"http://{gateway.address}"


async def _main() -> None:
    """Says where it listens, and ends when its standard input does."""
    log.configure("gateway", "ERROR", False, None)
    async with _system() as url:
        print(url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main())
