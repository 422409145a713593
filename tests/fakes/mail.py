"""A mail server on loopback: keeps what it accepts, refuses as told."""

from __future__ import annotations

import asyncio
import email
import email.policy
import warnings
from dataclasses import dataclass
from email.message import EmailMessage
from types import TracebackType
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass(frozen=True)
class Mail:
    """One accepted mail."""

    sender: str
    recipients: list[str]
    message: EmailMessage
    raw: bytes = b""

    @property
    def text(self) -> str:
        return str(self.message.get_content()).replace("\r\n", "\n").rstrip("\n")


class FakeMailServer:
    """`host` and `port` while entered. `reply` is said to DATA; `login` is the only pair it lets
    in.
    """

    def __init__(self, *, login: tuple[str, str] | None = None, **settings: Any) -> None:
        self.mails: list[Mail] = []
        self.reply = "250 OK queued as 1A2B"
        self.recipient_reply = ""
        self.hangs = False
        self.logins: list[tuple[str, str]] = []
        self.host = "127.0.0.1"
        self.port = 0
        self._login = login
        self._settings = settings
        self._arrived = asyncio.Condition()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, self.host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()

    async def wait_for(self, count: int, seconds: float = 45.0) -> list[Mail]:
        """Every mail, once there are at least `count`."""
        async with asyncio.timeout(seconds), self._arrived:
            await self._arrived.wait_for(lambda: len(self.mails) >= count)
        return self.mails

    def _protocol(self) -> SMTP:
        with warnings.catch_warnings():
            # It warns of a login over an open line, which is what some tests are about.
            warnings.simplefilter("ignore", UserWarning)
            return SMTP(
                self,
                hostname="mail.test",
                authenticator=self._authenticate if self._login else None,
                auth_require_tls=False,
                auth_required=self._login is not None,
                **self._settings,
            )

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, auth_data: object
    ) -> AuthResult:
        assert isinstance(auth_data, LoginPassword)
        pair = (auth_data.login.decode(), auth_data.password.decode())
        self.logins.append(pair)
        return AuthResult(success=pair == self._login, handled=False)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.recipient_reply:
            return self.recipient_reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.hangs:
            await asyncio.Event().wait()
        if self.reply.startswith("250"):
            assert isinstance(envelope.content, bytes)
            message = email.message_from_bytes(envelope.content, policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            async with self._arrived:
                self.mails.append(
                    Mail(
                        envelope.mail_from or "", list(envelope.rcpt_tos), message, envelope.content
                    )
                )
                self._arrived.notify_all()
        return self.reply
