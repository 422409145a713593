"""`--test` of the withdrawals: a server of this command alone, in the schema of tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.cli import certificates, database, system
from services.cli.connection import System, connected
from services.cli.plan import Plan, known_addresses
from shared import log


@asynccontextmanager
async def in_test_schema() -> AsyncIterator[System]:
    """The server while the block runs, beside a system that runs or without one.

    It reads and writes the schema withdrawals_test of the home's database alone, and tells nobody.
    """
    plan = Plan()
    log.configure("sonic", "ERROR", json=False)
    async with database.joined(plan) as opened:
        roles = {"withdrawals": database.WITHDRAWALS_TEST_ROLE}
        urls = await database.prepare(opened, plan.home, names=roles)
        own = {
            "WITHDRAWALS_TEST": "1",
            "METRICS_ADDRESS": "",
            "WITHDRAWALS_METRICS_ADDRESS": "",
            "PRICE_ADDRESS": known_addresses(plan)["price"],
        }
        system.certify(plan)
        serving = system.in_one_process(
            plan,
            urls,
            lambda _: None,
            listens=system.free_ports(["withdrawals"]),
            extra=own,
            tls=plan.tls_folder,
        )
        tls = certificates.operators(plan.tls_folder)
        async with serving as addresses, connected(addresses, tls) as found:
            yield found
