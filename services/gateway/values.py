"""What a JSON value may be for a field: the reader of protobuf takes more than people mean.

It reads `true` as 1, `1_000` as 1000 and a name as nothing when it is written otherwise than in the
proto.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from shared.errors import InvalidArgument
from shared.names import normalise
from shared.secret_shapes import refuse_secret

Json = dict[str, Any]
# Of what does not fit, so much is looked at: a key is no longer.
KEY_LENGTH = 8192
_MOST_PARTS = 64
# Messages that are written as a string.
FIELD_MASK = "google.protobuf.FieldMask"
WELL_KNOWN = frozenset({"google.protobuf.Timestamp", "google.protobuf.Duration", FIELD_MASK})
# Other words for the names of enums, by the enum's name, in every package that has one.
ALIASES: Mapping[str, Mapping[str, str]] = {
    "Level": {"WARNING": "MEDIUM", "CRITICAL": "HIGH"},
    "Chain": {"EVM": "ETHEREUM", "SOL": "SOLANA"},
    "AlertType": {
        "TRAVEL_PERCENT_LIQUID": "TRAVEL_PERCENT",
        "LIQUIDATION_DISTANCE_PERCENT": "LIQUIDATION_DISTANCE",
        "PROFIT_USD": "PROFIT",
        "TOTAL_VALUE_USD": "TOTAL_VALUE",
        "TOTAL_SIZE_USD": "TOTAL_SIZE",
        "TOTAL_PROFIT_USD": "TOTAL_PROFIT",
        "AVG_LEVERAGE_RATIO": "AVG_LEVERAGE",
        "AVG_HEAT_INDEX": "TOTAL_HEAT",
        "ACCOUNT_DISTANCE_PERCENT": "ACCOUNT_DISTANCE",
        "EXPOSURE_RATIO": "WALLET_EXPOSURE",
        "PRICE_USD": "PRICE_THRESHOLD",
        "PRICE": "PRICE_THRESHOLD",
    },
}
NUMBER = re.compile(r"-?[0-9]{1,400}(\.[0-9]{1,400})?([eE][-+]?[0-9]{1,4})?")
_PATHS = re.compile(r"[A-Za-z0-9_., ]*")
WHOLE = re.compile(r"-?[0-9]{1,20}")
_SIGNED_32 = (-(2**31), 2**31 - 1)
_SIGNED_64, _UNSIGNED_64 = (-(2**63), 2**63 - 1), (0, 2**64 - 1)
_RANGES: Mapping[int, tuple[int, int]] = {
    FieldDescriptor.CPPTYPE_INT32: _SIGNED_32,
    FieldDescriptor.CPPTYPE_INT64: _SIGNED_64,
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: _UNSIGNED_64,
}
_REALS = (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT)


def checked(
    descriptor: Descriptor, fields: Json, at: str = "", *, withheld: frozenset[str] = frozenset()
) -> Json:
    """The same fields with the names of enum values as the proto writes them; `at` is the dotted
    place.

    Those `withheld` are not named to whoever asks for another one.

    Raises InvalidArgument BAD_JSON, UNKNOWN_FIELD or UNKNOWN_NAME, which name the field.
    """
    fitting: Json = {}
    for name, value in fields.items():
        field = field_of(descriptor, name)
        if field is None:
            names = [field.name for field in descriptor.fields if field.name not in withheld]
            known = ", ".join(names) or "none"
            place = f"{at}{shown(name)}"
            raise InvalidArgument(
                "UNKNOWN_FIELD",
                f"there is no {place}; known are {known}",
                fields={place: "leave it out"},
            )
        fitting[name] = named(field, value, f"{at}{field.name}")
    return fitting


def field_of(descriptor: Descriptor, name: str) -> FieldDescriptor | None:
    """The field by its name in the proto or in camel case."""
    if not name.isascii():
        # The tables of protobuf fail on what cannot be encoded.
        return None
    found: FieldDescriptor | None = descriptor.fields_by_name.get(name)
    return found or descriptor.fields_by_camelcase_name.get(name)


def shown(text: str, field: str = "request") -> str:
    """What somebody sent, short and fit for an answer: half of a surrogate pair cannot be encoded.

    Raises InvalidArgument PRIVATE_KEY_REFUSED: what an answer would repeat may be a key in the
    wrong place.
    """
    refuse_secret(text, field)
    return text[:60].encode("utf-8", "backslashreplace").decode()


def named(field: FieldDescriptor, value: object, at: str) -> object:
    """The value of one field as `checked` gives it, with the same errors."""
    if value is None:
        return None
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        return _of_map(message, value, at)
    if not field.is_repeated:
        return _single(field, value, at)
    if not isinstance(value, list):
        raise _unfit(at, "a list", value)
    return [_single(field, item, f"{at}[{place}]") for place, item in enumerate(value)]


def _of_map(entry: Descriptor, value: object, at: str) -> Json:
    key, inside = entry.fields_by_name["key"], entry.fields_by_name["value"]
    pairs = _object(value, at)
    return {
        str(_single(key, name, f"{at} key")): _single(inside, item, f"{at}.{shown(name, at)}")
        for name, item in pairs.items()
    }


def _single(field: FieldDescriptor, value: object, at: str) -> object:
    if field.message_type is not None:
        if field.message_type.full_name in WELL_KNOWN:
            text = _text(value, at)
            # The reader of times repeats what it cannot read, and not whole.
            refuse_secret(text, at)
            return _mask(text, at) if field.message_type.full_name == FIELD_MASK else text
        return checked(field.message_type, _object(value, at), f"{at}.")
    if field.enum_type is not None:
        return _enum_value(field.enum_type, value, at)
    if field.cpp_type in _RANGES:
        return _whole(value, _RANGES[field.cpp_type], at)
    if field.cpp_type in _REALS:
        return _real(value, at)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        if not isinstance(value, bool):
            raise _unfit(at, "true or false", value)
        return value
    return _text(value, at)


def _object(value: object, at: str) -> Json:
    if not isinstance(value, dict):
        raise _unfit(at, "an object", value)
    return value


def _text(value: object, at: str) -> str:
    if not isinstance(value, str):
        raise _unfit(at, "a string", value)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        # Half of a surrogate pair: JSON can write it, nothing can hold it.
        raise _unfit(at, "a string of whole characters", value) from error
    return value


def _mask(value: str, at: str) -> str:
    if not _PATHS.fullmatch(value):
        raise _unfit(at, "names of fields with commas between", value)
    return value


def _whole(value: object, limits: tuple[int, int], at: str) -> int:
    wanted = f"a whole number from {limits[0]} to {limits[1]}"
    # The JSON of protobuf writes numbers of 64 bits as text, and those alone.
    if limits in (_SIGNED_64, _UNSIGNED_64) and isinstance(value, str) and WHOLE.fullmatch(value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not limits[0] <= value <= limits[1]:
        raise _unfit(at, wanted, value)
    return value


def _real(value: object, at: str) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    number = _float(value) if is_number else math.nan
    if not math.isfinite(number):
        raise _unfit(at, "a number", value)
    return number


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _enum_value(enum: EnumDescriptor, value: object, at: str) -> str:
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    if isinstance(value, str):
        wanted = normalise(value)
        also = ALIASES.get(enum.name, {}).get(wanted, wanted)
        for name in (wanted, prefix + wanted, prefix + also):
            if name in enum.values_by_name:
                return str(name)
    known = ", ".join(one.name.removeprefix(prefix) for one in enum.values if one.number)
    told = f"{at} {_sample(value, at)} is not known; known are {known}"
    raise InvalidArgument("UNKNOWN_NAME", told, fields={at: f"one of {known}"})


def _unfit(at: str, wanted: str, value: object) -> InvalidArgument:
    return InvalidArgument(
        "BAD_JSON", f"{at} must be {wanted}, not {_sample(value, at)}", fields={at: wanted}
    )


def _sample(value: object, at: str) -> str:
    """A value as JSON shows it, short; what is inside of an object or a list stays out."""
    if isinstance(value, dict | list):
        _refuse_parts(list(value.values()) if isinstance(value, dict) else value, at)
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) >= 10**30:
        return "a number of more than 30 digits"
    return shown(repr(value), at)


def _refuse_parts(parts: list[Any], at: str) -> None:
    """Raises InvalidArgument PRIVATE_KEY_REFUSED: the bytes of a key one by one, or the words of a
    phrase.
    """
    if len(parts) <= _MOST_PARTS and all(isinstance(part, int | str) for part in parts):
        refuse_secret(str(parts)[:KEY_LENGTH], at)
