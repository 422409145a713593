"""A key pressed in a call, as Twilio posts it: passed on as signed, answered in its words."""

from __future__ import annotations

from sonic.xcom.v1 import calls_pb2 as pb
from sonic.xcom.v1 import calls_pb2_grpc as rpc

from services.gateway import server as gateway
from shared.errors import PermissionDenied
from shared.lifecycle import App
from shared.rpc.server import GrpcServer
from tests.contract.gateway.conftest import client, config


class Calls(rpc.CallsServiceServicer):
    """Keeps what it is asked."""

    def __init__(self) -> None:
        self.asked: list[pb.PressKeyRequest] = []

    async def PressKey(self, request: pb.PressKeyRequest, context: object) -> pb.PressKeyResponse:
        self.asked.append(request)
        if request.signature == "forged":
            raise PermissionDenied("SIGNATURE_WRONG", "this is not signed by the provider")
        return pb.PressKeyResponse(twiml="<Response><Say>Acknowledged</Say></Response>")


async def test_a_key_is_passed_on_with_its_signature_and_answered_in_xml() -> None:
    calls = Calls()
    server = GrpcServer(
        "127.0.0.1:0",
        [(rpc.add_CallsServiceServicer_to_server, calls)],
        service_names=["sonic.xcom.v1.CallsService"],
        grace_seconds=0.5,
    )
    async with App("script", [server]):
        app = gateway.build(config({"xcom": server.address}))
        async with app, client(app) as web:
            path = "/calls/keys?delivery=dlv-1"
            form = {"Digits": "1", "CallSid": "CA1", "Called": "+49 30"}
            answer = await web.post(path, data=form, headers={"X-Twilio-Signature": "signed"})
            assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (
                200,
                "application/xml",
            )
            assert answer.text == "<Response><Say>Acknowledged</Say></Response>"
            (asked,) = calls.asked
            assert (asked.path, dict(asked.fields), asked.signature) == (path, form, "signed")
            forged = await web.post(path, data=form, headers={"X-Twilio-Signature": "forged"})
            assert forged.status_code == 403
            unsigned = await web.post(path, data=form)
            assert unsigned.status_code == 400
            assert (await web.get(path)).status_code == 405
            huge = await web.post(path, data={"Digits": "1" * 20_000})
            assert huge.status_code == 413
            assert len(calls.asked) == 2
