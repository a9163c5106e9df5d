"""What `weft doctor` finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    GOOD = "ok"
    ODD = "warn"
    BAD = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    verdict: Verdict
    text: str
