"""GetSeries on the wire, for AdvisorService."""

from __future__ import annotations

from sonic.withdrawals.v1 import withdrawals_pb2 as pb

from services.withdrawals.series.mapping import series_message, series_request
from services.withdrawals.series.service import SeriesService


class SeriesReader:
    """One method of the service."""

    def __init__(self, series: SeriesService) -> None:
        self._series = series

    async def get(self, request: pb.GetSeriesRequest) -> pb.Series:
        return series_message(await self._series.get(series_request(request)))
