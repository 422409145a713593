"""What is shown of addresses, URLs and providers' words, and which settings are refused."""

from __future__ import annotations

import base64

import pytest

from services.xcom.senders.channel import masked_address, masked_url, redacted
from services.xcom.server import Config
from shared.config import load

COMPLETE = {"XCOM_DATABASE_URL": "postgresql://x:y@localhost/sonic"}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.com/hook", "https://example.com/***"),
        ("https://example.com/T0/B1/s3", "https://example.com/***"),
        ("https://example.com", "https://example.com"),
        (
            "https://jane:pass@example.com:8443/hook?token=1#x",
            "https://***@example.com:8443/***",
        ),
        ("https://example.com/services/T0/a81bc81bdead4e5d", "https://example.com/***"),
        ("https://example.com/?key", "https://example.com/***"),
        ("http://[::1]:9/", "http://[::1]:9"),
    ],
)
def test_a_url_is_shown_without_what_opens_it(url: str, shown: str) -> None:
    assert masked_url(url) == shown


def test_an_address_is_shown_by_its_first_letter_and_domain() -> None:
    assert masked_address("jane.doe@example.com") == "j***@example.com"


def test_what_a_provider_says_is_one_short_line_without_secrets() -> None:
    encoded = base64.b64encode(b"hunter2").decode()
    heard = redacted(f"535 bad\r\nlogin hunter2 {encoded} " + "x" * 500, ["hunter2", ""])
    assert heard.startswith("535 bad login *** *** xxx")
    assert len(heard) == 200


def test_every_wrong_setting_is_named_at_once_and_none_is_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as left:
        load(
            Config,
            {
                "SMTP_PORT": "many",
                "SMTP_DEFAULT_RECIPIENT": "canary\nBcc: all",
                "WEBHOOK_URL": "ftp://canary@example.com",
                "XCOM_LOW_CHANNELS": "email,pigeon",
                "METRICS_ADDRESS": "nowhere",
            },
        )
    errors = capsys.readouterr().err
    assert left.value.code == 2
    for name in (
        "XCOM_DATABASE_URL",
        "SMTP_PORT",
        "SMTP_DEFAULT_RECIPIENT",
        "WEBHOOK_URL",
        "XCOM_LOW_CHANNELS",
        "METRICS_ADDRESS",
    ):
        assert f"{name}:" in errors
    assert "canary" not in errors


def test_a_level_takes_the_channels_that_are_set_for_it() -> None:
    config = load(Config, COMPLETE | {"XCOM_HIGH_CHANNELS": "Webhook, email"})
    assert config.xcom_high_channels == ("webhook", "email")
    assert load(Config, COMPLETE).xcom_low_channels == ("email",)


def test_a_printed_configuration_holds_no_secret() -> None:
    config = load(
        Config,
        COMPLETE
        | {
            "SMTP_PASSWORD": "canary",
            "WEBHOOK_SECRET": "canary",
            "WEBHOOK_URL": "https://canary@example.com/",
        },
    )
    assert "canary" not in repr(config) + str(config.model_dump())
