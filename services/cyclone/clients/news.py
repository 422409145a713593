"""What cyclone tells by itself, through xcom."""

from __future__ import annotations

from typing import Final

from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from shared.errors import InvalidArgument
from shared.log import get_logger

_SECONDS: Final = 10.0


async def tell(
    xcom: xcom_pb2_grpc.XComServiceStub, request: xcom_pb2.SendRequest, setting: str = ""
) -> None:
    """To the channels of the request, which `setting` names; refused with them, to those of the
    level map; refused once more, in plain words. SonicError.
    """
    try:
        await xcom.Send(request, timeout=_SECONDS)
    except InvalidArgument as error:
        # A word that is wrong costs nobody the message.
        event = request.facts["event"]
        get_logger().error(
            "message refused", event_name=event, setting=setting, words=error.message
        )
        if request.channels:
            request.ClearField("channels")
        elif request.body:
            request.subject = f"cyclone: a message could not be accepted ({event}): {error.reason}"
            request.body = ""
        else:
            raise
        await tell(xcom, request, setting)
