"""A private key is refused in every text of every request, by the name of its field."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator

import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from sonic.positions.v1 import positions_pb2 as positions

from shared.errors import InvalidArgument
from shared.rpc.validation import check, refuse_secrets
from tests.unit.test_request_bounds import fields_of, requests

KEY = "9f3c" * 16
# Of nobody; the other with a wrong letter.
WIFS = [
    "L1aW4aubDFB7yfras2S1mN3bqg9nwySY8nkoLmJebSLD5BWv3ENZ",
    "5HpHagT65TZzG1PH3CSu63k8DbpvD8s5ip4nEB3kEsreAnchuDx",
]
PHRASE = "legal winner thank year wave sausage worth useful legal winner thank yellow"
# Fields whose text may look like a key, and why.
NOT_REFUSED = {"page_token": "ours, never kept, and refused as BAD_PAGE_TOKEN when it is none"}
# Of keys these take one shape, for a SHA-256 has it; any other is refused.
DIGESTS = {"anchor_hash": "the head of the ledger that somebody kept"}
FILES = {
    "Attachment.content",
    "ImportPositionsRequest.content",
    "ImportPositionsStreamRequest.content",
    "ImportWalletsRequest.content",
}
_DEEPEST = 6

Made = Iterator[tuple[str, str, Message]]


def filled(kind: Descriptor, key: str, depth: int = 0) -> Made:
    """A message of this kind for each text it can hold, with the key there;
    path and field's name."""
    for field in kind.fields if depth < _DEEPEST else ():
        inner = field.message_type
        if inner is not None and inner.GetOptions().map_entry:
            yield from _maps(kind, field, inner, key, depth)
        elif inner is not None:
            for path, name, message in filled(inner, key, depth + 1):
                outer = made(kind)
                if field.is_repeated:
                    getattr(outer, field.name).append(message)
                else:
                    getattr(outer, field.name).CopyFrom(message)
                yield f"{field.name}{'[0]' if field.is_repeated else ''}.{path}", name, outer
        elif field.type == FieldDescriptor.TYPE_STRING:
            text = [key] if field.is_repeated else key
            path = f"{field.name}[0]" if field.is_repeated else field.name
            yield path, field.name, made(kind, **{field.name: text})


def _maps(
    kind: Descriptor, field: FieldDescriptor, entry: Descriptor, key: str, depth: int
) -> Made:
    value = entry.fields_by_name["value"]
    if value.message_type is not None:
        outer = made(kind)
        getattr(outer, field.name)[key].SetInParent()
        yield field.name, field.name, outer
        for path, name, message in filled(value.message_type, key, depth + 1):
            outer = made(kind)
            getattr(outer, field.name)["key"].CopyFrom(message)
            yield f"{field.name}.{path}", name, outer
        return
    empty: object = "" if value.type == FieldDescriptor.TYPE_STRING else 0
    yield field.name, field.name, made(kind, **{field.name: {key: empty}})
    if value.type == FieldDescriptor.TYPE_STRING:
        yield field.name, field.name, made(kind, **{field.name: {"key": key}})


def made(kind: Descriptor, **fields: object) -> Message:
    message: Message = message_factory.GetMessageClass(kind)(**fields)
    return message


def every(key: str, *, but: Collection[str] = NOT_REFUSED) -> Made:
    """Path, name of the kind, and message, for each text of every request there is."""
    for kind in sorted(set(requests()), key=lambda kind: kind.full_name):
        for path, name, message in filled(kind, key):
            if name not in but:
                yield path, kind.name, message


CASES = [
    pytest.param(key, path, message, id=f"{kind}.{path}-{key[:4]}")
    for key, but in ((KEY, {*NOT_REFUSED, *DIGESTS}), *((wif, NOT_REFUSED) for wif in WIFS))
    for path, kind, message in every(key, but=but)
]


@pytest.mark.parametrize(("key", "path", "message"), CASES)
def test_a_private_key_is_refused_by_the_name_of_its_field(
    key: str, path: str, message: Message
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        refuse_secrets(message)
    assert (refused.value.reason, list(refused.value.fields)) == ("PRIVATE_KEY_REFUSED", [path])
    # Whatever else is wrong with the request, nothing of the key is repeated.
    with pytest.raises(InvalidArgument) as checked:
        check(message)
    assert (checked.value.reason, list(checked.value.fields)) == ("PRIVATE_KEY_REFUSED", [path])
    assert key not in repr(vars(checked.value)) + str(checked.value)


@pytest.mark.parametrize(
    "key", ["\n".join(PHRASE.split()), f"-----BEGIN PRIVATE KEY-----\n{'a9B' * 20}"]
)
def test_a_key_of_several_lines_is_refused_as_one_where_a_name_has_one(key: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        check(positions.CreateWalletRequest(wallet=positions.Wallet(name=key)))
    assert (refused.value.reason, list(refused.value.fields)) == (
        "PRIVATE_KEY_REFUSED",
        ["wallet.name"],
    )


def test_what_may_look_like_a_key_is_a_page_token_or_a_hash() -> None:
    for kind in set(requests()):
        for _, name, message in filled(kind, KEY):
            if name in {*NOT_REFUSED, *DIGESTS}:
                refuse_secrets(message)


def test_a_list_of_single_words_may_be_a_phrase() -> None:
    wallet = positions.Wallet(name="a", tags=PHRASE.split())
    with pytest.raises(InvalidArgument) as refused:
        check(positions.CreateWalletRequest(wallet=wallet))
    assert (refused.value.reason, list(refused.value.fields)) == (
        "PRIVATE_KEY_REFUSED",
        ["wallet.tags"],
    )


@pytest.mark.parametrize(
    "listed",
    [
        [
            "main",
            "perps",
            "cold",
            "hedge",
            "btc",
            "eth",
            "sol",
            "demo",
            "test",
            "bot",
            "exchange",
            "personal",
        ],
        [hashlib.sha256(b"%d" % place).hexdigest()[:16] for place in range(20)],
        [str(place) for place in range(100, 132)],
        ["0123456789abcdef"] * 16,
    ],
)
def test_lists_of_names_and_ids_are_none(listed: list[str]) -> None:
    refuse_secrets(positions.SyncPositionsRequest(wallets=listed))


def test_texts_are_strings_or_files_whose_readers_judge_each_cell() -> None:
    """No other kind of field could bring a text in: the walk above would not see it."""
    seen: set[str] = set()
    fields = [field for kind in requests() for field in fields_of(kind, seen)]
    assert {
        f"{field.containing_type.name}.{field.name}"
        for field in fields
        if field.type == FieldDescriptor.TYPE_BYTES
    } == FILES
    foreign = {field.message_type.full_name for field in fields if field.message_type is not None}
    assert {name for name in foreign if not name.startswith("sonic.")} == {
        "google.protobuf.Duration",
        "google.protobuf.FieldMask",
        "google.protobuf.Timestamp",
    }
