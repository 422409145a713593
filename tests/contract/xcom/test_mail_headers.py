"""A subject is one header that says what it says, on every Python; no address brings another one
along.
"""

from __future__ import annotations

import email
import email.policy
from email.header import decode_header, make_header

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.xcom.senders.email import EmailSettings, header_text
from shared.errors import InvalidArgument
from tests.contract.xcom.conftest import Xcom, mail_settings
from tests.fakes.mail import FakeMailServer

EVIL = (
    "=?utf-8?q?HIGH=0D=0AContent-Type:_text/html=0D=0A"
    "Bcc:_all@example.com=0D=0A=0D=0A<b>forged</b>?="
)
HEADERS = {
    "Subject",
    "From",
    "To",
    "Date",
    "Message-ID",
    "X-Sonic-Level",
    "X-Sonic-Message-Id",
    "Auto-Submitted",
    "Importance",
    "Content-Type",
    "Content-Transfer-Encoding",
    "MIME-Version",
}


async def test_encoded_words_in_a_subject_stay_words(xcom: Xcom, mail: FakeMailServer) -> None:
    await xcom.start(**mail_settings(mail))
    await xcom.send("HIGH", channels=["email"], subject=f"position {EVIL}", body="the real body")
    (received,) = await mail.wait_for(1)
    assert received.message["Content-Type"].content_type == "text/plain"
    assert set(received.message.keys()) == HEADERS
    assert received.text == "the real body"
    assert read(received.raw) == f"position {EVIL}"


@pytest.mark.parametrize("length", [60, 66, 67, 68, 69, 80, 250])
async def test_a_long_subject_arrives_without_a_space_too_many(
    xcom: Xcom, mail: FakeMailServer, length: int
) -> None:
    await xcom.start(**mail_settings(mail))
    subject = ("HIGH: SOL long travel -80 % and more " * 10)[: length - 1] + "x"
    await xcom.send("LOW", channels=["email"], subject=subject)
    (received,) = await mail.wait_for(1)
    assert str(received.message["Subject"]) == subject


def read(raw: bytes) -> str:
    """The subject as any reader decodes it, once."""
    message = email.message_from_bytes(raw, policy=email.policy.compat32)
    return str(
        make_header(decode_header(str(message["Subject"]).replace("\r\n", "").replace("\n", "")))
    )


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_any_subject_is_one_header_of_short_lines_and_reads_back(text: str) -> None:
    value = header_text(text)
    assert value.isascii()
    first, *others = value.split("\r\n")
    assert all(line.startswith(" =?") and len(line) <= 76 for line in others)
    assert len(f"Subject: {first}") <= 76
    assert "\n" not in value.replace("\r\n", "")
    raw = f"Subject: {value}\r\nTo: a@example.com\r\n\r\nbody".encode()
    plain = " ".join(text.split())
    assert " ".join(read(raw).split()) == "".join(
        one for one in plain if one.isprintable() or one == " "
    ) or any(not one.isprintable() for one in plain)
    assert email.message_from_bytes(raw).keys() == ["Subject", "To"]


@pytest.mark.parametrize(
    "address", ["=?utf-8?q?a=0D=0ABcc:x?=@example.com", "jane@exämple.com", "a@b\u2028c.com"]
)
async def test_an_address_that_the_library_would_read_is_refused(xcom: Xcom, address: str) -> None:
    for name in ("smtp_sender", "smtp_default_recipient"):
        with pytest.raises(ValidationError):
            EmailSettings.model_validate({name: address})
    await xcom.start()
    with pytest.raises(InvalidArgument, match="DESTINATION_REFUSED"):
        await xcom.set_channel("email", "destination", destination=address)
    assert not (await xcom.channel("email")).configured
