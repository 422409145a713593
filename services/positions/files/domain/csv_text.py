"""CSV as people's programs write it: three separators, a byte-order mark, Excel's `sep=;`."""

import csv
import io
import re
from collections.abc import Iterator, Sequence

# A spreadsheet writes it before the header, to tell its own kind which separator follows.
_SEPARATOR_LINE = re.compile(r"\s*\"?sep=(.)\"?[ ,;\t]*\r?\n", re.IGNORECASE)
_SEPARATORS = ",;\t"
_DOTTED = re.compile(r"\s*[+-]?[1-9][0-9]{0,2}(\.[0-9]{3})+\s*")


class DottedNumber(str):
    """A cell like 1.250 of a file with semicolons: where programs write these the dot mostly parts
    thousands, and a number without cents does not say which it does.
    """

    __slots__ = ()


def csv_rows(text: str) -> Iterator[tuple[int, Sequence[str]]]:
    """Line number (the file's, from 1) and cells of each row that is not empty, the header among
    them.

    Raises csv.Error naming the line.
    """
    named = _SEPARATOR_LINE.match(text)
    skipped_count = 0
    if named:
        skipped_count = text[: named.end()].count("\n")
        text, delimiter = text[named.end() :], named[1]
    else:
        first_line = text.lstrip("\r\n").partition("\n")[0]
        delimiter = max(_SEPARATORS, key=first_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                yield reader.line_num + skipped_count, _marked(cells) if delimiter == ";" else cells
    except csv.Error as error:
        raise csv.Error(f"near line {reader.line_num + skipped_count}: {error}") from None


def _marked(cells: Sequence[str]) -> Sequence[str]:
    return [DottedNumber(cell) if _DOTTED.fullmatch(cell) else cell for cell in cells]
