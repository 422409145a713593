"""The rules of the schemas (protovalidate) as words of JSON schema."""

from __future__ import annotations

from typing import Any, cast

from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from shared.rpc.validation import MADE_UP

Schema = dict[str, Any]
# Messages of buf/validate/validate.proto, which come without types.
Rules = Any
_VALIDATE = cast("Any", validate_pb2)

_NUMBERS = {
    FieldDescriptor.TYPE_DOUBLE: "double",
    FieldDescriptor.TYPE_FLOAT: "float",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_UINT32: "uint32",
    FieldDescriptor.TYPE_UINT64: "uint64",
    FieldDescriptor.TYPE_SINT32: "sint32",
    FieldDescriptor.TYPE_SINT64: "sint64",
}
_BOUNDS = {"gte": "minimum", "gt": "exclusiveMinimum", "lte": "maximum", "lt": "exclusiveMaximum"}
_NO_REST = r"(\.0{1,9})?"
# Nothing of ours holds it, so no text with one is taken.
_NO_NUL = r"^[^\u0000]*$"
_NO_CONTROL = r"^[^\u0000-\u001f\u007f-\u009f]*$"


def rules_of(field: FieldDescriptor) -> Rules:
    return field.GetOptions().Extensions[_VALIDATE.field]


def of_value(field: FieldDescriptor, rules: Rules) -> Schema:
    """What the rules say of one value of the field."""
    if field.enum_type is not None:
        return {"enum": _names(field.enum_type, rules)}
    if field.type == FieldDescriptor.TYPE_STRING:
        return _of_text(rules.string, _NO_CONTROL if field.name in MADE_UP else _NO_NUL)
    if field.type == FieldDescriptor.TYPE_BYTES:
        # Base64, as it is written in JSON: four letters for each three bytes.
        return {
            word: (getattr(rules.bytes, name) + 2) // 3 * 4
            for name, word in (("min_len", "minLength"), ("max_len", "maxLength"))
            if rules.bytes.HasField(name)
        }
    if field.type in _NUMBERS:
        number = getattr(rules, _NUMBERS[field.type])
        return {
            word: getattr(number, name) for name, word in _BOUNDS.items() if number.HasField(name)
        }
    return {}


def of_list(rules: Rules) -> Schema:
    found: Schema = {}
    if rules.repeated.HasField("min_items"):
        found["minItems"] = rules.repeated.min_items
    if rules.repeated.HasField("max_items"):
        found["maxItems"] = rules.repeated.max_items
    if rules.repeated.unique:
        found["uniqueItems"] = True
    return found


def of_map(rules: Rules) -> Schema:
    found: Schema = {"propertyNames": _of_text(rules.map.keys.string)}
    if rules.map.HasField("max_pairs"):
        found["maxProperties"] = rules.map.max_pairs
    if rules.map.HasField("min_pairs"):
        found["minProperties"] = rules.map.min_pairs
    return found


def of_message(descriptor: Descriptor) -> Schema:
    """Which fields exclude each other, and of which one must be there."""
    found = []
    for oneof in descriptor.oneofs:
        names = [field.name for field in oneof.fields]
        if len(names) < 2:
            continue
        given = [
            {"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in names
        ]
        rule = {"oneOf": given}
        if not oneof.GetOptions().Extensions[_VALIDATE.oneof].required:
            rule = {"oneOf": [*given, {"not": {"anyOf": given}}]}
        found.append(rule)
    return {"allOf": found} if found else {}


def is_required(field: FieldDescriptor) -> bool:
    """Whether a request without the field breaks its rules."""
    rules = rules_of(field)
    if rules.required:
        return True
    if field.has_presence or rules.ignore == _VALIDATE.IGNORE_IF_ZERO_VALUE:
        return False
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        return bool(rules.map.min_pairs)
    if field.is_repeated:
        return bool(rules.repeated.min_items)
    return _refuses_nothing(field, rules)


def _refuses_nothing(field: FieldDescriptor, rules: Rules) -> bool:
    """Whether the zero value of a field, which is what stands for an absent one,
    breaks its rules."""
    if field.enum_type is not None:
        return 0 in rules.enum.not_in
    if field.type == FieldDescriptor.TYPE_STRING:
        return bool(rules.string.min_len)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return bool(rules.bytes.min_len)
    if field.type not in _NUMBERS:
        return False
    number = getattr(rules, _NUMBERS[field.type])
    above = (number.HasField("gt") and number.gt >= 0) or (
        number.HasField("gte") and number.gte > 0
    )
    below = (number.HasField("lt") and number.lt <= 0) or (
        number.HasField("lte") and number.lte < 0
    )
    return bool(above or below)


def _names(enum: EnumDescriptor, rules: Rules) -> list[str]:
    allowed = set(getattr(rules.enum, "in"))
    return [
        value.name
        for value in enum.values
        if value.number not in rules.enum.not_in and (not allowed or value.number in allowed)
    ]


def _of_text(rules: Rules, pattern: str = _NO_NUL) -> Schema:
    found: Schema = {"pattern": rules.pattern or pattern}
    longest = [getattr(rules, name) for name in ("max_len", "max_bytes") if rules.HasField(name)]
    if longest:
        found["maxLength"] = min(longest)
    if rules.HasField("min_len"):
        found["minLength"] = rules.min_len
    if allowed := list(getattr(rules, "in")):
        found["enum"] = allowed
    return found


def of_duration(rules: Rules) -> Schema:
    """A span between two bounds, as the pattern of its text: there is no other word for it."""
    if not (rules.duration.HasField("gte") and rules.duration.HasField("lte")):
        return {}
    first, last = rules.duration.gte.seconds, rules.duration.lte.seconds
    inside = _between(first, last - 1)
    below = [f"({'|'.join(inside)})" + r"(\.[0-9]{1,9})?"] if inside else []
    return {"pattern": f"^({'|'.join([*below, str(last) + _NO_REST])})s$"}


def _between(first: int, last: int) -> list[str]:
    """Patterns of the whole numbers from `first` to `last`, both >= 0 and without leading zeros."""
    found = []
    while first <= last:
        # The numbers that share all digits but the last few, as long as all of those are inside.
        free = 0
        while (
            free + 1 < len(str(first))
            and first % 10 ** (free + 1) == 0
            and first + 10 ** (free + 1) - 1 <= last
        ):
            free += 1
        head = str(first)[: len(str(first)) - free]
        span = 10**free
        digit = int(head[-1])
        most = min(9 - digit, (last - first + 1) // span - 1)
        found.append(f"{head[:-1]}[{digit}-{digit + most}]" + (f"[0-9]{{{free}}}" if free else ""))
        first += span * (most + 1)
    return found
