"""Backups and certificates that nobody renews: when somebody is told, how loudly, and once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.cli.certificate_maker import Authority
from services.monitor.checks import BackupReading, CertificateReading, CheckContext
from services.monitor.checks.backup import BackupCheck
from services.monitor.checks.certificates import CertificatesCheck, level_of
from services.monitor.clients.upkeep import Upkeep
from services.monitor.domain.findings import Level, RunStatus
from services.monitor.domain.incidents import follow
from shared.backup_files import name_of
from shared.backup_place import MARK, remember
from shared.clock import PushedClock
from shared.tls_files import validity
from tests.unit.monitor.test_checks import NOW, Known

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def backup(age: timedelta | None, since: timedelta | None = None) -> CheckContext:
    """A day between backups; the last, and the database, are so old."""
    last = None if age is None else NOW - age
    made = None if since is None else NOW - since
    return CheckContext(Known(known_backup=BackupReading("/b", DAY, last, made)), NOW)


@pytest.mark.parametrize(
    ("age", "since", "level"),
    [
        (HOUR, None, None),
        (47 * HOUR, 400 * DAY, None),
        (49 * HOUR, None, Level.MEDIUM),
        (8 * DAY, None, Level.HIGH),
        (None, HOUR, None),
        (None, 3 * DAY, Level.MEDIUM),
        (None, 8 * DAY, Level.HIGH),
        # Nobody knows since when: not before this process has run that long.
        (None, None, None),
    ],
)
async def test_a_backup_that_fails_is_told_by_its_age(
    age: timedelta | None, since: timedelta | None, level: Level | None
) -> None:
    found = await BackupCheck().run(backup(age, since))
    assert (found.level if found.concern else None) is level
    badge = found.badges["backup_badge"]
    assert (badge.level if badge else None) is level


async def test_a_folder_that_is_another_one_is_told_at_once_and_by_the_last_backup_it_had(
    tmp_path: Path,
) -> None:
    folder, home = tmp_path / "disk", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    last = NOW - 8 * DAY
    remember(folder, home, last)
    upkeep = Upkeep((folder, DAY), home, None, PushedClock(NOW))
    reading = await upkeep.backup()
    assert reading is not None and not reading.problem
    (folder / MARK).unlink()
    reading = await upkeep.backup()
    assert reading is not None and reading.last_time == last
    for age, level in ((timedelta(0), Level.MEDIUM), (8 * DAY, Level.HIGH)):
        one = replace(reading, last_time=NOW - age)
        found = await BackupCheck().run(CheckContext(Known(known_backup=one), NOW))
        assert (found.status, found.level) == (RunStatus.BREACH, level)
        assert found.concern.startswith(f"no backup can be taken: {folder} is not the folder")
        assert "mount its disk" in found.concern


async def test_where_no_backups_are_to_be_taken_nobody_is_told() -> None:
    found = await BackupCheck().run(CheckContext(Known(), NOW))
    assert (found.status, found.error.split(":")[0]) == (RunStatus.SKIPPED, "NOT_CONFIGURED")


async def test_the_same_backup_is_told_once_and_again_when_it_gets_urgent() -> None:
    incident = None
    told = []
    for days in (3, 4, 5, 8, 9):
        finding = await BackupCheck().run(backup(days * DAY))
        change = follow("backup", incident, finding, f"id-{days}", NOW)
        incident = change.after
        if change.notification is not None:
            told.append((days, change.notification.level))
    assert told == [(3, Level.MEDIUM), (8, Level.HIGH)]


def certificate(left: timedelta, life: timedelta = 90 * DAY) -> CertificateReading:
    return CertificateReading("price", NOW + left - life, NOW + left)


@pytest.mark.parametrize(
    ("one", "level"),
    [
        (certificate(31 * DAY), Level.NORMAL),
        (certificate(16 * DAY), Level.NORMAL),
        (certificate(14 * DAY), Level.MEDIUM),
        (certificate(2 * DAY), Level.HIGH),
        (certificate(-DAY), Level.HIGH),
        # One of a day is renewed by the hour, one of ten years in its last weeks.
        (certificate(5 * HOUR, DAY), Level.NORMAL),
        (certificate(3 * HOUR, DAY), Level.MEDIUM),
        (certificate(HOUR / 2, DAY), Level.HIGH),
        (certificate(100 * DAY, 3650 * DAY), Level.NORMAL),
        (CertificateReading("price", None, None, "no file"), Level.HIGH),
    ],
)
def test_a_certificate_is_urgent_by_what_is_left_of_its_life(
    one: CertificateReading, level: Level
) -> None:
    assert level_of(one, NOW) is level


async def test_certificates_that_are_not_renewed_are_told_the_nearest_end_first() -> None:
    far = CertificateReading("xcom", NOW - 80 * DAY, NOW + 10 * DAY)
    near = CertificateReading("price", NOW - 89 * DAY, NOW + DAY)
    well = CertificateReading("alerts", NOW, NOW + 90 * DAY)
    context = CheckContext(Known(known_certificates=(far, well, near)), NOW)
    found = await CertificatesCheck().run(context)
    assert (found.status, found.level) == (RunStatus.BREACH, Level.HIGH)
    assert found.concern == (
        "not renewed: the certificate of price ends in 1.0 days;"
        " the certificate of xcom ends in 10.0 days"
    )
    assert set(found.members) == {"price", "price at once", "xcom"}


async def test_a_certificate_that_joins_is_told_as_urgent_as_it_is() -> None:
    near = CertificateReading("price", NOW - 89 * DAY, NOW + DAY)
    late = CertificateReading("xcom", NOW - 80 * DAY, NOW + 10 * DAY)
    urgent = CertificateReading("xcom", NOW - 89 * DAY, NOW + DAY)
    told, incident = [], None
    for number, known in enumerate([(near,), (near, late), (near, urgent)]):
        found = await CertificatesCheck().run(CheckContext(Known(known_certificates=known), NOW))
        change = follow("certificates", incident, found, f"i{number}", NOW)
        incident = change.after
        assert change.notification is not None
        told.append(change.notification.level)
    assert told == [Level.HIGH, Level.MEDIUM, Level.HIGH]


async def test_what_lies_on_this_machine_is_read(tmp_path: Path) -> None:
    tls = tmp_path / "tls"
    tls.mkdir()
    now = datetime.now(UTC).replace(microsecond=0)
    authority = Authority.made(now, now + 3650 * DAY)
    pem, _ = authority.certificate("price", ["price"], [], "", now, now + 90 * DAY)
    (tls / "price.crt").write_bytes(pem if isinstance(pem, bytes) else pem.encode())
    (tls / "xcom.crt").write_text("no certificate")
    (tmp_path / name_of(now)).write_bytes(b"")
    upkeep = Upkeep((tmp_path, DAY), tmp_path, tls / "price.crt", PushedClock(now))
    found = await upkeep.backup()
    assert found is not None
    assert found.last_time == now
    price, xcom = await upkeep.certificates()
    assert (price.begin_time, price.end_time) == (now, now + 90 * DAY)
    assert (xcom.name, xcom.end_time) == ("xcom", None)
    assert validity((tls / "price.crt").read_bytes()) == (now, now + 90 * DAY)
