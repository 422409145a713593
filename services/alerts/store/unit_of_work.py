"""Rows of alerts in and out, by noun; the only SQL of this service."""

from __future__ import annotations

from services.alerts.alerts.store.alerts import AlertStore
from services.alerts.alerts.store.evaluations import EvaluationStore
from services.alerts.alerts.store.subjects import SubjectStore
from services.alerts.ledger.store.entries import LedgerStore
from services.alerts.ledger.store.seals import SealStore
from services.alerts.ledger.store.statistics import StatisticStore
from services.alerts.notifications.store import OutboxStore
from services.alerts.price_rules.store import RuleStore
from services.alerts.recorder.store import RecordingStore
from services.alerts.scorecard.store import ScorecardStore
from services.alerts.store.annotations import AnnotationStore
from services.alerts.store.commit import Commit
from services.alerts.store.figures import FigureStore
from services.alerts.store.service_state import ServiceStateStore
from services.alerts.tables import rule_set, threshold_set
from services.alerts.thresholds.store import ThresholdStore
from shared.database import fence
from shared.database.fence import Step
from shared.database.transaction import Transaction
from shared.versions.store import VersionStore, VersionTable

_THRESHOLD_VERSIONS = VersionTable(threshold_set)
_RULE_VERSIONS = VersionTable(rule_set)


class Store:
    """Everything of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self.commit = Commit(transaction)
        self.service_state = ServiceStateStore(transaction)
        self.alerts = AlertStore(transaction)
        self.subjects = SubjectStore(transaction)
        self.evaluations = EvaluationStore(transaction)
        self.thresholds = ThresholdStore(transaction)
        self.threshold_versions = VersionStore(transaction, _THRESHOLD_VERSIONS)
        self.rule_versions = VersionStore(transaction, _RULE_VERSIONS)
        self.ledger = LedgerStore(transaction)
        self.seals = SealStore(transaction)
        self.outbox = OutboxStore(transaction)
        self.annotations = AnnotationStore(transaction)
        self.rules = RuleStore(transaction)
        self.recordings = RecordingStore(transaction)
        self.scorecard = ScorecardStore(transaction)
        self.statistics = StatisticStore(transaction)
        self.figures = FigureStore(transaction)

    async def enter(self, step: Step) -> None:
        """Keep a paused caller out, before anything is locked. Raises StaleEpoch, EpochAhead."""
        await fence.enter(self._transaction, step, object)
