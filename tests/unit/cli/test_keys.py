"""A private key on the command line is refused before anything is asked, and not repeated."""

from __future__ import annotations

import pytest

from services.cli.main import main

WIF = "L1aW4aubDFB7yfras2S1mN3bqg9nwySY8nkoLmJebSLD5BWv3ENZ"
PHRASE = "legal winner thank year wave sausage worth useful legal winner thank yellow"


@pytest.mark.parametrize(
    "words",
    [
        ["wallet", "add", "main", WIF],
        ["wallet", "add", WIF, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"],
        [
            "wallet",
            "add",
            "main",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "--chain",
            "9f3c" * 16,
        ],
        ["wallet", "add", "main", PHRASE],
        ["wallet", "add", "main", *PHRASE.split()],
        ["wallet", "add", "main", f"--chain={WIF}"],
        [WIF],
    ],
)
def test_a_key_is_refused_before_anything_is_asked(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["sonic", *words])
    with pytest.raises(SystemExit) as left:
        main()
    told = "".join(capsys.readouterr())
    assert left.value.code == 1 and "PRIVATE_KEY_REFUSED" in told
    assert WIF not in told and "9f3c" not in told and "winner" not in told


@pytest.mark.parametrize(
    "words",
    [
        ["wallet", "add", "--help"],
        ["wallet", "add", "main", "HskfdWhZTfsEL2he8iqJmXmbHdj5vr5xBooRnUfQs5PY", "--help"],
        ["positions", "import", "/home/" + "AnnaNowak1/" * 12 + "positions.csv", "--help"],
    ],
)
def test_ordinary_words_are_taken(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["sonic", *words])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 0 and "PRIVATE_KEY_REFUSED" not in "".join(capsys.readouterr())
