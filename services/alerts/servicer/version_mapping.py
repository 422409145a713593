"""Versions of settings on the wire."""

from __future__ import annotations

from sonic.alerts.v1 import alerts_pb2 as pb

from shared.codec import fill
from shared.versions.domain import Comparison, Version


def version_message(version: Version) -> pb.SettingVersion:
    changes = [fill(pb.SettingChange, change) for change in version.changes]
    return fill(pb.SettingVersion, version, changes=changes)


def comparison_message(found: Comparison) -> pb.VersionComparison:
    changes = [fill(pb.SettingChange, change) for change in found.changes]
    return fill(pb.VersionComparison, found, changes=changes)
