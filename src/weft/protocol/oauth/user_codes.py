"""The codes that people read on one device and type on another: few letters, none of which is easily taken for another.

There are no vowels, so that no words come out. Twenty letters, eight times: one in 25 thousand million.

https://www.rfc-editor.org/rfc/rfc8628#section-6.1
"""

from __future__ import annotations

from typing import Final

LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
LENGTH: Final = 8
#: Random bytes that a code is made of: enough for each letter to be as likely as any other, nearly.
RANDOM_BYTES: Final = 16


def made_of(random: bytes) -> str:
    number = int.from_bytes(random)
    letters = []
    for _ in range(LENGTH):
        number, letter = divmod(number, len(LETTERS))
        letters.append(LETTERS[letter])
    return "".join(letters)


def shown(code: str) -> str:
    """As people are shown it: `WDJB-MJHT`."""
    return f"{code[: LENGTH // 2]}-{code[LENGTH // 2 :]}"


def read(text: str) -> str | None:
    """What somebody has typed, with whatever they put between the letters; None if it can be no code."""
    code = "".join(char for char in text[:64].upper() if char.isalnum())
    return code if len(code) == LENGTH and not set(code) - set(LETTERS) else None
