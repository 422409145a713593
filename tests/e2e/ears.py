"""What came out of a system: a webhook and a mailbox that write down when they heard what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tests.e2e.world import World
from tests.fakes.webhook import OK, FakeWebhook, Received, Reply


@dataclass(frozen=True)
class Heard:
    """What came out of a channel, and when at the latest."""

    time: datetime
    channel: str
    subject: str
    key: str
    facts: Mapping[str, str] = field(default_factory=dict)


class Ears:
    """A webhook and a mailbox. The webhook says `answer`; with `loses_answers` it hears and hangs
    up.
    """

    def __init__(self, world: World, webhook: FakeWebhook) -> None:
        self.mailbox = world.mailbox
        self.answer: Reply = OK
        self.loses_answers = False
        self.url = webhook.url
        self.heard: list[Heard] = []
        self._came: list[Received] = []
        self._mails_seen = 0
        webhook.answer = self._reply

    def listen(self, now: datetime) -> None:
        """Write down what came since the last time."""
        mails = self.mailbox.mails[self._mails_seen :]
        self._mails_seen += len(mails)
        came, self._came = self._came, []
        for one in came:
            subject = str(one.body["subject"]).strip()
            self.heard.append(Heard(now, "webhook", subject, one.key, one.body["facts"]))
        for mail in mails:
            subject, id = str(mail.message["Subject"]).strip(), str(mail.message["Message-ID"])
            self.heard.append(Heard(now, "mail", subject, id))

    @property
    def waiting_count(self) -> int:
        """What came to the webhook and is not written down yet."""
        return len(self._came)

    def mend(self) -> None:
        """Everything is taken and answered."""
        self.answer, self.loses_answers, self.mailbox.hangs = OK, False, False

    def _reply(self, received: Received) -> Reply:
        if self.answer is OK or self.answer.stalls:
            self._came.append(received)
        if self.loses_answers:
            raise ConnectionResetError
        return self.answer
