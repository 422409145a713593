"""Mail by SMTP: TLS whenever it is offered, never a password over an open line."""

from __future__ import annotations

import re
from base64 import b64encode
from contextlib import suppress
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY

import aiosmtplib
from pydantic import BaseModel, Field, SecretStr, field_validator

from services.xcom.domain.messages import Answer, DeliveryAttempt, Level
from services.xcom.domain.texts import whole_text
from services.xcom.senders.channel import Channel, empty, listed, masked_address, redacted, several
from shared.loopback import is_loopback

_IMPLICIT_TLS_PORT = 465
_GOODBYE_SECONDS = 1.0
# With the name before it a line of at most 76 characters.
_PLAIN_HEADER_LENGTH = 66
_WORD_BYTES = 39
_ADDRESS = re.compile(r"[^\s@<>,;\"()]+@[^\s@<>,;\"()]+")


def header_text(text: str) -> str:
    """The text as a header's value that says exactly this, on several lines when it is long.

    What is not short plain ASCII is written as encoded words (RFC 2047), also what looks like one.
    """
    text = re.sub(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+", " ", text).strip()
    if text.isascii() and "=?" not in text and len(text) <= _PLAIN_HEADER_LENGTH:
        return text
    words: list[bytes] = []
    word = b""
    for character in text.encode("utf-8", "replace").decode():
        encoded = character.encode()
        if len(word) + len(encoded) > _WORD_BYTES:
            words, word = [*words, word], b""
        word += encoded
    encoded_words = (f"=?utf-8?b?{b64encode(one).decode()}?=" for one in (*words, word))
    return "\r\n ".join(encoded_words)


def _is_address(text: str) -> bool:
    """Also no encoded word: the library would read it."""
    return (
        bool(_ADDRESS.fullmatch(text))
        and text.isascii()
        and text.isprintable()
        and "=?" not in text
    )


class EmailSettings(BaseModel):
    """Environment of the email channel."""

    smtp_server: str = Field(
        "", description="host of the mail server", examples=["smtp.example.com"]
    )
    smtp_port: int = Field(
        587, ge=1, le=65535, description="465 is TLS from the start, else STARTTLS if offered"
    )
    smtp_username: str = Field("", description="empty: no login")
    smtp_password: SecretStr = Field(SecretStr(""), description="empty: no login")
    smtp_default_recipient: str = Field(
        "",
        description="who gets the mails; several with commas between",
        examples=["jane@example.com"],
    )
    smtp_sender: str = Field(
        "", description="From; else the username if it is an address, else the recipient"
    )
    smtp_timeout_seconds: float = Field(20.0, gt=0, le=120, description="bound of one try")

    @field_validator("smtp_default_recipient")
    @classmethod
    def _are_mail_addresses(cls, value: str) -> str:
        if not all(map(_is_address, listed(value))):
            raise ValueError(
                "not a mail address in ASCII (a domain beyond it is written as xn--...), "
                "or several with commas between"
            )
        return value

    @field_validator("smtp_sender")
    @classmethod
    def _is_mail_address(cls, value: str) -> str:
        if value and not _is_address(value):
            raise ValueError(
                "not a mail address in ASCII; a domain beyond it is written as xn--..."
            )
        return value


class Email(Channel):
    """One mail to one recipient an attempt; Message-ID is made of the delivery id."""

    name = "email"
    links = True
    files = True
    destination_setting = "SMTP_DEFAULT_RECIPIENT"

    def __init__(self, settings: EmailSettings) -> None:
        self._settings = settings
        self._recipients = listed(settings.smtp_default_recipient)
        self.own = several(self._recipients)
        self._password = settings.smtp_password.get_secret_value()
        self.timeout_seconds = settings.smtp_timeout_seconds

    @property
    def missing_settings(self) -> tuple[str, ...]:
        settings = self._settings
        needed = {
            "SMTP_SERVER": settings.smtp_server,
            "SMTP_DEFAULT_RECIPIENT": settings.smtp_default_recipient,
        }
        # Half a login is a mistake, not a wish to send without one.
        if settings.smtp_username or self._password:
            needed |= {"SMTP_USERNAME": settings.smtp_username, "SMTP_PASSWORD": self._password}
        return empty(needed)

    @property
    def destination(self) -> str:
        return ", ".join(map(masked_address, self._recipients))

    async def send(self, attempt: DeliveryAttempt) -> Answer:
        recipient = attempt.address or self._recipients[0]
        client = aiosmtplib.SMTP(
            hostname=self._settings.smtp_server,
            port=self._settings.smtp_port,
            use_tls=self._settings.smtp_port == _IMPLICIT_TLS_PORT,
            # Asked for by hand below: what is refused depends on whether it was offered.
            start_tls=False,
            validate_certs=not self._is_loopback,
            timeout=self.timeout_seconds,
        )
        try:
            await client.connect()
            await self._enter(client)
            mail = self._mail(attempt, recipient)
            _, reply = await client.sendmail(self._sender, [recipient], mail)
            with suppress(aiosmtplib.SMTPException, OSError):
                # Accepted already: a goodbye that fails must not send it again.
                await client.quit(timeout=_GOODBYE_SECONDS)
        except aiosmtplib.SMTPException as error:
            return self._failure(error, recipient)
        except (OSError, ValueError) as error:
            return Answer(accepted=False, error=f"not reached: {type(error).__name__}")
        finally:
            client.close()
        return Answer(accepted=True, provider_status=self._redacted(f"250 {reply}", recipient))

    async def check(self, address: str) -> None:
        if not _is_address(address):
            raise ValueError("not a mail address")

    @property
    def _sender(self) -> str:
        settings = self._settings
        username = settings.smtp_username if _is_address(settings.smtp_username) else ""
        recipient = next(iter(self._recipients), "sonic@localhost")
        return settings.smtp_sender or username or recipient

    @property
    def _is_loopback(self) -> bool:
        return is_loopback(self._settings.smtp_server)

    async def _enter(self, client: aiosmtplib.SMTP) -> None:
        """TLS if offered, then the login if there is one."""
        await client.ehlo()
        encrypted = self._settings.smtp_port == _IMPLICIT_TLS_PORT
        if not encrypted and client.supports_extension("starttls"):
            await client.starttls()
            encrypted = True
        if not self._settings.smtp_username:
            return
        if not encrypted and not self._is_loopback:
            raise aiosmtplib.SMTPException(
                "no TLS offered: the password is not sent over an open line"
            )
        await client.login(self._settings.smtp_username, self._password)

    def _mail(self, attempt: DeliveryAttempt, recipient: str) -> bytes:
        mail = EmailMessage(policy=SMTP_POLICY)
        mail["From"] = self._sender
        mail["To"] = recipient
        mail["Date"] = attempt.created_time
        mail["Message-ID"] = f"<{attempt.delivery_id}@{self._sender.rpartition('@')[2]}>"
        mail["X-Sonic-Level"] = attempt.level.name
        mail["X-Sonic-Message-Id"] = attempt.message_id
        mail["Auto-Submitted"] = "auto-generated"
        if attempt.level is Level.HIGH:
            mail["Importance"] = "high"
        text = whole_text(attempt)
        # Every server takes seven bits; what is ASCII stays as it is.
        mail.set_content(text, charset="utf-8", cte=None if text.isascii() else "quoted-printable")
        if attempt.attachment is not None:
            file = attempt.attachment
            kind, _, subkind = file.media_type.partition("/")
            mail.add_attachment(
                file.content, maintype=kind, subtype=subkind, filename=file.name, cte="base64"
            )
        # The library would read encoded words in a subject, newlines among them (Python before
        # 3.11.10).
        return f"Subject: {header_text(attempt.subject)}\r\n".encode() + mail.as_bytes()

    def _failure(self, error: aiosmtplib.SMTPException, recipient: str) -> Answer:
        """Refused for good only for what is about the mail; a wrong password may be right
        tomorrow."""
        refusal: object = error
        if isinstance(error, aiosmtplib.SMTPRecipientsRefused) and error.recipients:
            refusal = error.recipients[0]
        if not isinstance(refusal, aiosmtplib.SMTPResponseException):
            problem = self._redacted(f"{type(error).__name__}: {error}", recipient)
            return Answer(accepted=False, error=problem)
        answered = f"{refusal.code} {refusal.message}"
        about_mail = isinstance(
            refusal,
            aiosmtplib.SMTPRecipientRefused
            | aiosmtplib.SMTPSenderRefused
            | aiosmtplib.SMTPDataError,
        )
        return Answer(
            accepted=False,
            provider_status=self._redacted(answered, recipient),
            error=self._redacted(f"{type(refusal).__name__}: {answered}", recipient),
            permanent=about_mail and 500 <= refusal.code < 600,
        )

    def _redacted(self, text: str, recipient: str) -> str:
        settings = self._settings
        text = text.replace(recipient, masked_address(recipient))
        return redacted(text, (self._password, settings.smtp_username, settings.smtp_sender))
