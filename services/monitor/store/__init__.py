"""Rows of monitor in and out, by noun; the only SQL of this service."""

from services.monitor.store.notices import NoticeRows
from services.monitor.store.passes import PassRows
from services.monitor.store.runs import RunRows
from services.monitor.store.settings import SettingRows


class Store(PassRows, RunRows, SettingRows, NoticeRows):
    """The monitors' rows of one transaction."""
