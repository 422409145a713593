"""A restore gives nobody another one's address, and loses none."""

from __future__ import annotations

import pytest

from services.xcom.channels.domain import settings_content, settings_restored
from services.xcom.domain.settings import Chain, ChannelSetting, Contact, Route, Settings
from services.xcom.senders.channel import masked_address, masked_number, masked_url
from shared.errors import FailedPrecondition

_LOOKS = {"email": masked_address, "sms": masked_number, "webhook": masked_url}
FIRST, SECOND = Route("sms", "+491701234567"), Route("sms", "+491609999967")
BEN, BOB = Route("email", "ben@family.org"), Route("email", "bob@family.org")
ADA = Route("email", "ada@example.com")


def _masked(channel: str, address: str) -> str:
    return _LOOKS[channel](address)


def _settings(**routes: tuple[Route, ...]) -> Settings:
    return Settings(chain=Chain(tuple(Contact(name, 60.0, own) for name, own in routes.items())))


def _restored(then: Settings, present: Settings) -> Settings:
    return settings_restored(present, settings_content(then, _masked), _masked)


def test_nobody_gets_the_address_of_another_that_looks_the_same() -> None:
    then = _settings(Bob=(BOB,), Ben=(BEN,))
    with pytest.raises(FailedPrecondition, match=r"email was b\*\*\*@family.org then, and is not"):
        _restored(then, _settings(Ben=(BEN,)))
    # Not even where both were removed and one came back by another name.
    with pytest.raises(FailedPrecondition, match="ADDRESS_NOT_KEPT"):
        _restored(_settings(Bob=(BOB,)), _settings(Robert=(BOB,)))


def test_two_addresses_that_look_the_same_both_stay() -> None:
    present = _settings(Ada=(FIRST, SECOND), Ben=(BEN,))
    then = _settings(Ben=(BEN,), Ada=(FIRST, SECOND))
    assert _restored(then, present).chain == then.chain


@pytest.mark.parametrize(
    "then", [(FIRST,), (SECOND,), (SECOND, ADA, FIRST), (FIRST, FIRST)], ids=str
)
def test_which_of_two_that_look_the_same_was_meant_is_not_guessed(then: tuple[Route, ...]) -> None:
    present = _settings(Ada=(FIRST, SECOND, ADA))
    with pytest.raises(FailedPrecondition, match="more than one that is set now looks like it"):
        _restored(_settings(Ada=then), present)


def test_an_address_is_never_written_twice() -> None:
    with pytest.raises(FailedPrecondition, match="ADDRESS_NOT_KEPT"):
        _restored(_settings(Ada=(FIRST, SECOND)), _settings(Ada=(FIRST, ADA)))


def test_the_ways_of_a_contact_come_back_in_their_order_and_as_few_as_they_were() -> None:
    present = _settings(Ada=(FIRST, ADA, Route("webhook")))
    for then in ((ADA, FIRST), (Route("webhook"), ADA), (Route("webhook"),)):
        assert _restored(_settings(Ada=then), present).chain == _settings(Ada=then).chain


def test_of_a_url_a_version_keeps_the_host_alone() -> None:
    url = "https://hooks.example.com/T0AB/B0CD/short?key=1"
    setting = {"webhook": ChannelSetting(destination=url)}
    chain = Chain((Contact("Ada", 60.0, (Route("webhook", url),)),))
    settings = Settings(channels=setting, chain=chain)
    content = settings_content(settings, _masked)
    assert content["channel:webhook"]["destination"] == "https://hooks.example.com/***"
    assert content["contact:Ada"]["routes"] == ["webhook https://hooks.example.com/***"]
    # One with words of the path, of an earlier release, still leads back.
    before = "https://hooks.example.com/T0AB/B0CD/short?***"
    longer = {
        "channel:webhook": {**content["channel:webhook"], "destination": before},
        "contact:Ada": {**content["contact:Ada"], "routes": [f"webhook {before}"]},
    }
    for one in (content, longer):
        assert settings_restored(settings, one, _masked) == settings
