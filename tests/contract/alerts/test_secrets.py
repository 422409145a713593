"""Private keys and seed phrases come into no note, rule, death or file, and into no ledger."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import pytest
from sonic.alerts.v1 import alerts_pb2 as pb

from shared.errors import InvalidArgument
from tests.contract.alerts.conftest import Servers

KEY = "0x" + "9f3c" * 16
PHRASE = "legal winner thank year wave sausage worth useful legal winner thank yellow"
RULE = {"asset": "BTC", "metric": pb.RULE_METRIC_MOVE_PERCENT, "threshold": 5.0}

Ask = Callable[[Servers, str], Awaitable[object]]
ASKED: dict[str, Ask] = {
    "alert.notes": lambda servers, text: servers.alerts.CreateAlert(
        pb.CreateAlertRequest(alert=pb.Alert(asset="BTC", notes=text))
    ),
    "rule.notes": lambda servers, text: servers.rules.CreateRule(
        pb.CreateRuleRequest(rule=pb.Rule(notes=text, direction=pb.RULE_DIRECTION_UP, **RULE))
    ),
    "summary": lambda servers, text: servers.alerts.RaiseDeath(
        pb.RaiseDeathRequest(incident="service:price", summary=text)
    ),
    "incident": lambda servers, text: servers.alerts.RaiseDeath(
        pb.RaiseDeathRequest(incident=text, summary="price does not answer")
    ),
    "json": lambda servers, text: servers.thresholds.ImportThresholds(
        pb.ImportThresholdsRequest(json=json.dumps({"thresholds": [], "note": text}))
    ),
}


@pytest.mark.parametrize("secret", [KEY, f"my words are {PHRASE}, keep them"])
@pytest.mark.parametrize(("field", "ask"), ASKED.items(), ids=ASKED.keys())
async def test_a_secret_is_refused_and_nothing_of_it_is_recorded(
    without_xcom: Servers, field: str, ask: Ask, secret: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await ask(without_xcom, secret)
    assert (refused.value.reason, list(refused.value.fields)) == ("PRIVATE_KEY_REFUSED", [field])
    assert secret not in str(refused.value) + caplog.text
    entries = (await without_xcom.ledger.ListLedger(pb.ListLedgerRequest(page_size=500))).entries
    assert not any(secret in str(entry) for entry in entries)
