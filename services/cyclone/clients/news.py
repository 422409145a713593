"""What cyclone tells by itself, through xcom."""

from __future__ import annotations

from typing import Final

from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from shared.errors import InvalidArgument
from shared.log import get_logger

_SECONDS: Final = 10.0
_UNKNOWN: Final = "UNKNOWN_NAME"


async def tell(
    xcom: xcom_pb2_grpc.XComServiceStub, request: xcom_pb2.SendRequest, setting: str
) -> None:
    """To the channels of the request, which `setting` names; where one of them is no channel, to
    those of the level map. SonicError.
    """
    try:
        await xcom.Send(request, timeout=_SECONDS)
    except InvalidArgument as error:
        if error.reason != _UNKNOWN or not request.channels:
            raise
        # A word that is wrong costs nobody the message.
        get_logger().error(f"{setting} names no channel", words=error.message)
        request.ClearField("channels")
        await xcom.Send(request, timeout=_SECONDS)
