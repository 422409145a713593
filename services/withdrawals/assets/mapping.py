"""Settings of assets between messages and the domain; what a message leaves out stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import fields, replace
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from sonic.withdrawals.v1 import withdrawals_pb2 as pb

from services.withdrawals.assets.domain.settings import (
    Asset,
    AssetSettings,
    GateConfig,
    PriceConfig,
    Wallet,
)
from shared.codec import apply_mask, fill, from_duration, from_timestamp, number
from shared.errors import InvalidArgument, invalid

ConfigT = TypeVar("ConfigT", AssetSettings, GateConfig, PriceConfig)
_GROUPS: dict[str, type[Any]] = {"gate": GateConfig, "price": PriceConfig}
_AMOUNTS = frozenset({"cap_units", "fee_units"})
_OWN = [field.name for field in fields(AssetSettings) if field.name != "name"]
CHANGEABLE = [
    *_OWN,
    *(f"{group}.{field.name}" for group, kind in _GROUPS.items() for field in fields(kind)),
]


def asset_message(asset: Asset) -> pb.Asset:
    settings = asset.settings
    return fill(
        pb.Asset,
        settings,
        etag=asset.etag,
        demo=asset.demo,
        gate=fill(pb.GateSettings, settings.gate),
        price=fill(pb.PriceSettings, settings.price),
        **{name: _words(getattr(settings, name)) for name in _AMOUNTS},
    )


def new_settings(message: pb.Asset) -> AssetSettings:
    """Those of the message over the defaults. INVALID_FIELD, NOT_FINITE, BAD_DURATION."""
    settings = AssetSettings(message.name)
    given = [name for name in _OWN if name not in _GROUPS and _is_given(message, name)]
    made = replace(settings, **{name: _value(message, name) for name in given})
    return _with_groups(made, message, [name for name in _GROUPS if _is_given(message, name)])


def change_of(
    request: pb.UpdateAssetRequest,
) -> Callable[[AssetSettings], AssetSettings]:
    """What an update makes of settings. UNKNOWN_FIELD, INVALID_FIELD, NOT_FINITE, BAD_DURATION."""
    message = request.asset
    paths = apply_mask(message, request.update_mask, CHANGEABLE)
    if list(request.update_mask.paths) == ["*"]:
        paths = _OWN
    default = AssetSettings(message.name)
    own = [path for path in paths if "." not in path and path not in _GROUPS]
    values = {
        name: _value(message, name) if _is_given(message, name) else getattr(default, name)
        for name in own
    }
    groups = [path for path in paths if path in _GROUPS]
    inner = [path for path in paths if "." in path]

    def change(present: AssetSettings) -> AssetSettings:
        after = _with_groups(replace(present, **values), message, groups)
        for path in inner:
            group, _, name = path.partition(".")
            part = getattr(message, group)
            value = _value(part, name) if _is_given(part, name) else None
            fresh = getattr(_GROUPS[group](), name) if value is None else value
            after = replace(after, **{group: replace(getattr(after, group), **{name: fresh})})
        return after

    return change


def _with_groups(
    settings: AssetSettings, message: pb.Asset, groups: Collection[str]
) -> AssetSettings:
    made = settings
    for group in groups:
        part = getattr(message, group)
        given = [field.name for field in fields(_GROUPS[group]) if _is_given(part, field.name)]
        inner = replace(getattr(made, group), **{name: _value(part, name) for name in given})
        made = replace(made, **{group: inner})
    return made


def _is_given(message: Message, name: str) -> bool:
    field = message.DESCRIPTOR.fields_by_name[name]
    if field.has_presence:
        return message.HasField(name)
    return bool(getattr(message, name))


def _value(message: Message, name: str) -> Any:
    """One field, given, as the domain has it."""
    field = message.DESCRIPTOR.fields_by_name[name]
    value = getattr(message, name)
    if field.enum_type is not None:
        prefix = field.enum_type.values_by_number[0].name.removesuffix("UNSPECIFIED")
        return field.enum_type.values_by_number[value].name.removeprefix(prefix)
    if field.message_type is not None:
        take = from_timestamp if field.message_type.name == "Timestamp" else from_duration
        return take(message, name)
    if field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE:
        return number(message, name)
    if name in _AMOUNTS:
        return amount_of(value, f"asset.{name}")
    return tuple(value) if field.is_repeated else value


def amount_of(text: str, field: str) -> Decimal:
    """Tokens. InvalidArgument INVALID_FIELD."""
    try:
        found = Decimal(text.strip())
    except InvalidOperation:
        raise invalid(field, "a decimal number") from None
    if not found.is_finite():
        raise InvalidArgument("NOT_FINITE", f"{field} is not a finite number")
    return found


def _words(amount: Decimal | None) -> str:
    return "" if amount is None else f"{amount:f}"


def wallet_of(message: pb.Wallet) -> Wallet:
    return Wallet(message.name, tuple(message.addresses))


def wallet_message(wallet: Wallet) -> pb.Wallet:
    return fill(pb.Wallet, wallet)
