"""What is wrong with the settings, in words for the person who wrote them."""

from __future__ import annotations

from collections.abc import Sequence

from weft.protocol.errors import WeftError


class SettingsError(WeftError):
    """The settings can't be used. `problems` has one line for each reason, each naming the place."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        more = len(self.problems) - 1
        rest = f" (and {more} more: see weft config check)" if more else ""
        super().__init__(f"{self.problems[0]}{rest}")
