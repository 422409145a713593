"""A file that is a key, and no table, is refused as one, whoever reads it."""

import hashlib
import json
from collections.abc import Callable

import pytest

from services.positions.files.domain.imports import Format
from services.positions.files.service.position_files import parse_positions
from services.positions.files.service.wallet_files import parse_wallets
from shared.errors import InvalidArgument

KEY_FILES = [
    json.dumps(list(hashlib.sha512(b"not a key of anybody").digest())),
    "-----BEGIN PRIVATE KEY-----\n"
    + "MC4CAQAwBQYDK2VwBCIEIA" * 3
    + "\n-----END PRIVATE KEY-----\n",
    "legal winner thank year wave sausage worth useful legal winner thank yellow\n",
    "legal,winner,thank,year,wave,sausage,worth,useful,legal,winner,thank,yellow\n",
    "L1aW4aubDFB7yfras2S1mN3bqg9nwySY8nkoLmJebSLD5BWv3ENZ\n",
]


@pytest.mark.parametrize("text", KEY_FILES)
@pytest.mark.parametrize("kind", ["CSV", "JSON"])
@pytest.mark.parametrize(
    "parse", [lambda content, kind: parse_positions(content, kind, "manual"), parse_wallets]
)
def test_the_file_of_a_key_is_refused_as_one(
    text: str, kind: Format, parse: Callable[..., object]
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse(text.encode(), kind)
    assert caught.value.reason == "PRIVATE_KEY_REFUSED"
    assert text.strip()[:10] not in repr(vars(caught.value)) + str(caught.value)
