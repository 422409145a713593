"""Health of a server: alive, ready, and why not; and how a client hears it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from grpc_health.v1 import health, health_pb2

from shared.errors import SonicError

# The health name that asks nothing else: SERVING while the process answers, whatever the database
# does. A process is replaced for this one alone; readiness is "" and the names of the services.
LIVENESS = "liveness"
# Trailing metadata beside NOT_SERVING.
_REASON = "problem-reason"
_WORDS = "problem"
_LONGEST = 600


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a server is not ready: a reason for programs, a sentence for people."""

    reason: str
    words: str


class Health(health.aio.HealthServicer):  # type: ignore[name-defined, misc]  # the stubs know no aio
    """Says with NOT_SERVING why; a client that does not know of it misses nothing."""

    problem: SonicError | None = None

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Any) -> Any:  # noqa: N802  of gRPC
        if self.problem is not None and request.service != LIVENESS:
            # Headers are ASCII, and of one line.
            words = (
                " ".join(self.problem.message.split())[:_LONGEST]
                .encode("ascii", "replace")
                .decode()
            )
            context.set_trailing_metadata(((_REASON, self.problem.reason), (_WORDS, words)))
        return await self.state(request, context)

    async def state(self, request: health_pb2.HealthCheckRequest, context: Any) -> Any:
        """The bare answer, for those who need not know why."""
        return await super().Check(request, context)


def problem_of(trailing_metadata: Iterable[tuple[str, Any]] | None) -> Problem | None:
    """What a health check said beside its answer."""
    said = {str(name): str(value) for name, value in trailing_metadata or ()}
    return Problem(said[_REASON], said.get(_WORDS, "")) if _REASON in said else None
