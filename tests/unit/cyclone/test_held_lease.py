"""How long a lease is certainly ours."""

import sys
import time

import pytest

from services.cyclone.loop.lease_keeper import HeldLease


async def exceed(_lease: HeldLease, _epoch: int) -> bool:
    return True


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the monotonic clock counts it")
def test_a_lease_runs_out_while_the_machine_is_suspended(monkeypatch: pytest.MonkeyPatch) -> None:
    # As on a machine that was awake for a minute since its start.
    seconds = {time.CLOCK_MONOTONIC: 60.0, time.CLOCK_BOOTTIME: 60.0}
    monkeypatch.setattr(time, "monotonic", lambda: seconds[time.CLOCK_MONOTONIC])
    monkeypatch.setattr(time, "clock_gettime", seconds.__getitem__)
    lease = HeldLease(1, 70.0, exceed)
    assert lease.is_certain()
    seconds[time.CLOCK_BOOTTIME] += 3600.0
    assert not lease.is_certain()
