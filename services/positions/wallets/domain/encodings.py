"""How addresses are written: bech32 and the Keccak hash behind Ethereum's checksum.

Small and slow on purpose: they see one address at a time. Knows nothing of chains or wallets.
"""

_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def bech32_decode(text: str) -> tuple[str, bytes] | None:
    """Prefix and payload of a bech32 text (BIP 173), or None when it is not one."""
    if not 8 <= len(text) <= 90 or (text != text.lower() and text != text.upper()):
        return None
    prefix, separator, rest = text.lower().rpartition("1")
    if not separator or not prefix or len(rest) < 6 or any(letter not in _BECH32 for letter in rest):
        return None
    if not all(33 <= ord(letter) <= 126 for letter in prefix):
        return None
    digits = [_BECH32.index(letter) for letter in rest]
    expanded = [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]
    if _bech32_polymod(expanded + digits) != 1:
        return None
    payload = _eight_bit_groups(digits[:-6])
    return None if payload is None else (prefix, payload)


def _bech32_polymod(digits: list[int]) -> int:
    checksum = 1
    for digit in digits:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ digit
        for position, generator in enumerate(_BECH32_GENERATORS):
            checksum ^= generator if (top >> position) & 1 else 0
    return checksum


def _eight_bit_groups(digits: list[int]) -> bytes | None:
    number, bits = 0, 5 * len(digits)
    for digit in digits:
        number = number << 5 | digit
    padding = bits % 8
    if padding > 4 or number & ((1 << padding) - 1):
        return None
    return (number >> padding).to_bytes(bits // 8, "big")


_LANES = (1 << 64) - 1
_RATE_BYTES = 136


def keccak_256(message: bytes) -> bytes:
    """Keccak-256 as Ethereum uses it (padding 0x01; SHA3-256 of hashlib pads otherwise)."""
    padded = bytearray(message + b"\x01" + b"\0" * (-(len(message) + 1) % _RATE_BYTES))
    padded[-1] |= 0x80
    state = [[0] * 5 for _ in range(5)]
    for start in range(0, len(padded), _RATE_BYTES):
        for lane in range(_RATE_BYTES // 8):
            offset = start + 8 * lane
            state[lane % 5][lane // 5] ^= int.from_bytes(padded[offset : offset + 8], "little")
        state = _permute(state)
    return b"".join(state[lane % 5][lane // 5].to_bytes(8, "little") for lane in range(4))


def _permute(state: list[list[int]]) -> list[list[int]]:
    """Keccak-f[1600]: theta, rho with pi, chi, iota, 24 times; round constants come from its LFSR."""
    shift_register = 1
    for _ in range(24):
        columns = [a[0] ^ a[1] ^ a[2] ^ a[3] ^ a[4] for a in state]
        mixed = [columns[(x + 4) % 5] ^ _rotate(columns[(x + 1) % 5], 1) for x in range(5)]
        state = [[lane ^ mixed[x] for lane in state[x]] for x in range(5)]
        x, y, current = 1, 0, state[1][0]
        for step in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            current, state[x][y] = state[x][y], _rotate(current, (step + 1) * (step + 2) // 2 % 64)
        for row in range(5):
            lanes = [state[column][row] for column in range(5)]
            for column in range(5):
                state[column][row] = lanes[column] ^ (~lanes[(column + 1) % 5] & lanes[(column + 2) % 5])
        for power in range(7):
            shift_register = (shift_register << 1 ^ (shift_register >> 7) * 0x171) & 0xFF
            if shift_register & 2:
                state[0][0] ^= 1 << ((1 << power) - 1)
    return state


def _rotate(lane: int, count: int) -> int:
    return (lane << count | lane >> (64 - count)) & _LANES
