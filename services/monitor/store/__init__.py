"""Rows of monitor in and out, by noun; the only SQL of this service."""

from services.monitor.store.check_runs import CheckRunRows
from services.monitor.store.notifications import NotificationRows
from services.monitor.store.runs import RunRows
from services.monitor.store.settings import SettingRows
from shared.database.transaction import Transaction


class Store(CheckRunRows, RunRows, SettingRows, NotificationRows):
    """The monitors' rows of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
