"""Holds a request against the rules in its schema, and against what no text of any request may
hold.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import cast

import protovalidate
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from shared.errors import InvalidArgument
from shared.secret_shapes import SHORTEST_SECRET_LENGTH, refuse_secret
from shared.seed_phrases import SHORTEST_PHRASE
from shared.texts import holds_control

# buf.validate extends the options of messages, oneofs and fields under this number; a
# length-delimited tag.
_RULES_TAG = bytes([0xBA, 0x48])
_NO_CONTROL = "must not hold control characters"
# Rules that only say "give one", in words that say so, and the pattern of names.
_PLAINER = dict.fromkeys(
    ("must not be in list [0]", "must be at least 1 characters", "value is required"), "must be set"
) | {r"does not match regex pattern `^[^\x00-\x1f\x7f-\x9f]*$`": _NO_CONTROL}
# Text that Postgres cannot keep; within numbers it means nothing.
_NUL = b"\0"
# As many bytes of text in a row as the shortest secret has; numbers, tags and lengths seldom look
# so.
_LONG_TEXT = re.compile(rb"[\t-\r\x1c-\xff]{%d}" % SHORTEST_SECRET_LENGTH)
# Never kept, and made of our own letters: it may look like a key by chance.
_NEVER_KEPT = frozenset({"page_token"})
# Fields, and keys of maps, that hold a public SHA-256, which is as long as a key; nothing else may.
_DIGESTS = frozenset({"anchor_hash", "ledger_head"})
_DIGEST = re.compile(r"[0-9a-f]{64}")

# What a caller makes up to be known by; other names have their pattern in the schema.
MADE_UP = frozenset(
    {"request_id", "ends_request_id", "cycle_id", "incident", "incident_key", "dedupe_key"}
)

_TEXT_HOLDERS = frozenset({FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_MESSAGE})

# A list of single words may be a phrase, word by word; nothing else adds up across so wide a gap.
_LONGEST_WORD = 16
_BETWEEN_WORDS = " ------ "

_ruled: dict[type[Message], bool] = {}
_holds_file: dict[type[Message], bool] = {}
_holds_list: dict[type[Message], bool] = {}
_makes_up: dict[type[Message], bool] = {}


def check(request: Message) -> None:
    """Raises InvalidArgument INVALID_FIELD naming each field, or PRIVATE_KEY_REFUSED naming the
    first.

    Bytes are files: who reads one holds every cell against the same shapes and refuses its row.
    """
    kind = type(request)
    ruled = _ruled.get(kind)
    if ruled is None:
        ruled = _ruled[kind] = has_rules(kind)
        _holds_file[kind] = _any_field(cast("Descriptor", kind.DESCRIPTOR), _is_bytes, set())
        _holds_list[kind] = _any_field(
            cast("Descriptor", kind.DESCRIPTOR), _is_list_of_texts, set()
        )
        _makes_up[kind] = _any_field(cast("Descriptor", kind.DESCRIPTOR), _is_made_up, set())
    # A file is not copied only to be looked through.
    wire = None if _holds_file[kind] else request.SerializeToString()
    if (wire is None or _NUL in wire) and (path := _nul_path(request)):
        words = "must not hold a NUL character"
        raise InvalidArgument("INVALID_FIELD", f"{path}: {words}", fields={path: words})
    # Before the rules: a key is refused as a key, whatever else is wrong with the field.
    if wire is None or (
        len(wire) >= SHORTEST_SECRET_LENGTH and (_holds_list[kind] or _LONG_TEXT.search(wire))
    ):
        refuse_secrets(request)
    if _makes_up[kind] and (path := _control_path(request)):
        raise InvalidArgument("INVALID_FIELD", f"{path}: {_NO_CONTROL}", fields={path: _NO_CONTROL})
    if ruled and (violations := protovalidate.collect_violations(request)):
        raise _refusal(violations)


def has_rules(message_class: type[Message]) -> bool:
    """Whether the message, or one inside it, has a rule."""
    return _any_rule(cast("Descriptor", message_class.DESCRIPTOR), set())


def _any_rule(descriptor: Descriptor, seen: set[str]) -> bool:
    if descriptor.full_name in seen:
        return False
    seen.add(descriptor.full_name)
    parts = [descriptor, *descriptor.fields, *descriptor.oneofs]
    if any(
        part.has_options and _RULES_TAG in part.GetOptions().SerializeToString() for part in parts
    ):
        return True
    return any(
        field.message_type is not None and _any_rule(field.message_type, seen)
        for field in descriptor.fields
    )


def _any_field(
    descriptor: Descriptor, is_wanted: Callable[[FieldDescriptor], bool], seen: set[str]
) -> bool:
    if descriptor.full_name in seen:
        return False
    seen.add(descriptor.full_name)
    return any(
        is_wanted(field)
        or (field.message_type is not None and _any_field(field.message_type, is_wanted, seen))
        for field in descriptor.fields
    )


def _is_bytes(field: FieldDescriptor) -> bool:
    return bool(field.type == FieldDescriptor.TYPE_BYTES)


def _is_made_up(field: FieldDescriptor) -> bool:
    return field.name in MADE_UP


def _is_list_of_texts(field: FieldDescriptor) -> bool:
    return bool(field.is_repeated and field.type == FieldDescriptor.TYPE_STRING)


def _refusal(violations: list[protovalidate.Violation]) -> InvalidArgument:
    fields: dict[str, str] = {}
    for violation in violations:
        proto = violation.proto
        path = ".".join(
            f"{part.field_name}[{part.subscript.value}]"
            if part.subscript and part.subscript.field == "index"
            else part.field_name  # a map's key is the caller's text, which an error never repeats
            for part in (proto.field.elements if proto.field else ())
        )
        fields.setdefault(path, _PLAINER.get(proto.message, proto.message) or proto.rule_id)
    first = next(iter(fields.items()))
    return InvalidArgument("INVALID_FIELD", f"{first[0] or 'request'}: {first[1]}", fields=fields)


def _nul_path(message: Message) -> str:
    """Path of the first text that holds a NUL character; empty when none does."""
    return next((path for path, _, text in _texts(message) if "\0" in text), "")


def _control_path(message: Message, before: str = "") -> str:
    """Path of the first name made up by the caller that holds a control character; empty when none
    does. In the messages of a request too.
    """
    for field, value in message.ListFields():
        if field.type not in _TEXT_HOLDERS:
            continue
        for place, _, part in _parts(field, value):
            path = f"{before}{field.name}{place}"
            if isinstance(part, Message):
                if found := _control_path(part, f"{path}."):
                    return found
            elif field.name in MADE_UP and isinstance(part, str) and holds_control(part):
                return path
    return ""


def refuse_secrets(request: Message) -> None:
    """Raises InvalidArgument PRIVATE_KEY_REFUSED naming the first text that holds something like a
    secret.
    """
    for path, name, text in _texts(request):
        if len(text) < SHORTEST_SECRET_LENGTH or name in _NEVER_KEPT:
            continue
        if not (name in _DIGESTS and _DIGEST.fullmatch(text)):
            refuse_secret(text, path)


def _texts(message: Message, before: str = "") -> Iterator[tuple[str, str, str]]:
    """Path, name and text of every string in the message, and of every list of words as one text;
    the name of a map's value is its key.
    """
    for field, value in message.ListFields():
        if field.type not in _TEXT_HOLDERS:
            continue
        if _is_list_of_texts(field) and len(value) >= SHORTEST_PHRASE:
            words = _BETWEEN_WORDS.join(part for part in value if len(part) <= _LONGEST_WORD)
            yield f"{before}{field.name}", field.name, words
        for place, name, part in _parts(field, value):
            if isinstance(part, str):
                yield f"{before}{field.name}{place}", name, part
            elif isinstance(part, Message):
                yield from _texts(part, f"{before}{field.name}{place}.")


def _parts(field: FieldDescriptor, value: object) -> Iterator[tuple[str, str, object]]:
    """One value as it is, rows with their place; of a map its keys and values."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield "", "", key
            yield "", str(key), part
    elif field.is_repeated and isinstance(value, Iterable):
        yield from ((f"[{place}]", field.name, part) for place, part in enumerate(value))
    else:
        yield "", field.name, value
