"""The token registry: which token of the chain an asset is."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import InvalidArgument

_HEADER = ("asset", "policy_id", "token_name_hex")
_POLICY = re.compile(r"[0-9a-f]{56}")
_TOKEN_NAME = re.compile(r"([0-9a-f]{2}){0,32}")
_ASSET = re.compile(r"[a-z0-9_]{1,32}")


@dataclass(frozen=True, slots=True)
class Token:
    """A token of the chain; its id is the policy id and the name together."""

    asset: str
    policy_id: str
    token_name_hex: str

    @property
    def token_id(self) -> str:
        return self.policy_id + self.token_name_hex


def read_registry(content: str) -> list[Token]:
    """The tokens of a CSV file: header `asset,policy_id,token_name_hex`, lines with # are left.

    InvalidArgument BAD_IMPORT names the line of the first row that is wrong.
    """
    numbered = [
        (number, cells)
        for number, line in enumerate(content.lstrip("\ufeff").splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
        for cells in csv.reader(io.StringIO(line))
    ]
    if not numbered:
        raise refused_file("the file has no row")
    number, header = numbered[0]
    if tuple(cell.strip().lower() for cell in header) != _HEADER:
        raise refused_file(f"line {number}: the header must be {','.join(_HEADER)}")
    found: dict[str, Token] = {}
    for number, cells in numbered[1:]:
        token = _token(number, [cell.strip().lower() for cell in cells])
        if token.asset in found:
            raise refused_file(f"line {number}: asset {token.asset} stands twice")
        found[token.asset] = token
    return list(found.values())


def _token(number: int, cells: Sequence[str]) -> Token:
    if len(cells) != len(_HEADER):
        raise refused_file(f"line {number}: {len(_HEADER)} cells wanted")
    token = Token(*cells)
    if not _ASSET.fullmatch(token.asset):
        raise refused_file(f"line {number}: asset: 1 to 32 of a-z, 0-9 and _")
    if not _POLICY.fullmatch(token.policy_id):
        raise refused_file(f"line {number}: policy_id: 56 hexadecimal digits")
    if not _TOKEN_NAME.fullmatch(token.token_name_hex):
        raise refused_file(f"line {number}: token_name_hex: at most 32 bytes in hexadecimal")
    return token


def refused_file(problem: str) -> InvalidArgument:
    """BAD_IMPORT: why a file is not taken."""
    return InvalidArgument("BAD_IMPORT", problem, fields={"content": problem})
