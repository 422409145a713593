"""BacktestService on the wire."""

from __future__ import annotations

from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.alerts.v1 import alerts_pb2_grpc as rpc

from services.alerts.backtest.mapping import backtest_message, request_of
from services.alerts.backtest.service import Backtests
from services.alerts.servicer.mapping import Context


class BacktestServicer(rpc.BacktestServiceServicer):
    def __init__(self, backtests: Backtests) -> None:
        self._backtests = backtests

    async def RunBacktest(self, request: pb.RunBacktestRequest, context: Context) -> pb.Backtest:
        return backtest_message(await self._backtests.run(request_of(request)))
