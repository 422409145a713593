"""Who notifies people of deaths: alerts, and xcom directly when alerts cannot."""

from __future__ import annotations

from collections.abc import Mapping

from sonic.alerts.v1 import alerts_pb2, alerts_pb2_grpc
from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from services.cyclone.domain.incidents import Attempt, Incident
from shared.errors import AlreadyExists
from shared.names import shortened
from shared.rpc.client import Channel
from shared.secret_shapes import without_secrets

# As the receivers bound them.
_SUMMARY_LENGTH = 300
_BODY_LENGTH = 10_000


class DeathClient:
    """Every method raises SonicError when nobody answers in the time of the attempt."""

    def __init__(self, channels: Mapping[str, Channel]) -> None:
        self._alerts = channels["alerts"].stub(alerts_pb2_grpc.AlertsServiceStub)
        self._xcom = channels["xcom"].stub(xcom_pb2_grpc.XComServiceStub)
        self._escalation = channels["xcom"].stub(xcom_pb2_grpc.EscalationServiceStub)

    async def raise_death(self, incident: Incident, attempt: Attempt) -> None:
        request = alerts_pb2.RaiseDeathRequest(
            incident=incident.name,
            summary=shortened(without_secrets(incident.summary), _SUMMARY_LENGTH),
            cycle_id=attempt.cycle_id,
            epoch=attempt.epoch,
        )
        await self._alerts.RaiseDeath(request, timeout=attempt.seconds)

    async def resolve_death(self, incident: Incident, attempt: Attempt) -> None:
        request = alerts_pb2.ResolveDeathRequest(
            incident=incident.name, cycle_id=attempt.cycle_id, epoch=attempt.epoch
        )
        await self._alerts.ResolveDeath(request, timeout=attempt.seconds)

    async def send_death(self, incident: Incident, attempt: Attempt) -> None:
        late = "The alerts service could not tell this itself: its alerts may be late."
        request = xcom_pb2.SendRequest(
            request_id=_key(incident),
            level=xcom_pb2.LEVEL_HIGH,
            subject=f"HIGH: {incident.name} is down",
            body=f"{incident.summary}\n{late}",
        )
        await self._send(request, incident, attempt)

    async def send_recovery(self, incident: Incident, attempt: Attempt) -> None:
        request = xcom_pb2.SendRequest(
            request_id=f"{_key(incident)}-over",
            level=xcom_pb2.LEVEL_LOW,
            subject=f"Resolved: {incident.name} works again",
            body=incident.summary,
            ends_incident=True,
        )
        await self._send(request, incident, attempt)

    async def end_death(self, incident: Incident, attempt: Attempt) -> None:
        request = xcom_pb2.SettleIncidentRequest(
            incident_key=_key(incident), action=xcom_pb2.INCIDENT_ACTION_END, by="cyclone"
        )
        await self._escalation.SettleIncident(request, timeout=attempt.seconds)

    async def _send(
        self, request: xcom_pb2.SendRequest, incident: Incident, attempt: Attempt
    ) -> None:
        request.body = shortened(without_secrets(request.body), _BODY_LENGTH)
        request.source = "cyclone"
        request.dedupe_key = request.request_id
        request.incident_key = _key(incident)
        request.facts.update(incident=incident.name, incident_id=incident.id)
        request.facts["cycle_id"] = attempt.cycle_id
        if attempt.demo:
            request.facts["demo"] = "true"
        try:
            await self._xcom.Send(request, timeout=attempt.seconds)
        except AlreadyExists:
            # Sent before, when it was another cycle; only the answer was lost.
            return


def _key(incident: Incident) -> str:
    """Names it to xcom from its first notification to its end, whoever owns the schedule then."""
    return f"cyclone-{incident.id}"
