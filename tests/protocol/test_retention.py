"""How long messages are kept."""

from __future__ import annotations

from typing import Any

import pytest

from weft.protocol.retention import Bounds, lifetime_ms


@pytest.mark.parametrize(
    ("content", "bounds", "lifetime"),
    [
        (None, Bounds(), None),
        (None, Bounds(default=5), 5),
        (None, Bounds(longest=5), None),
        (None, Bounds(default=5, longest=3), 3),
        (None, Bounds(default=5, shortest=9), 9),
        ({"max_lifetime": 7}, Bounds(), 7),
        ({"max_lifetime": 7}, Bounds(default=5), 7),
        ({"max_lifetime": 7}, Bounds(shortest=9), 9),
        ({"max_lifetime": 7}, Bounds(longest=3), 3),
        ({"max_lifetime": 7, "min_lifetime": 7}, Bounds(), 7),
        ({"max_lifetime": 7, "min_lifetime": 8}, Bounds(default=5), 5),
        ({"min_lifetime": 8}, Bounds(default=5), None),
        ({"min_lifetime": 8}, Bounds(longest=5), 5),
        ({"max_lifetime": 0}, Bounds(), 0),
        ({"max_lifetime": -1}, Bounds(), None),
        ({"max_lifetime": True}, Bounds(default=5), 5),
        ({"max_lifetime": "7"}, Bounds(default=5), 5),
        ({"max_lifetime": 7.0}, Bounds(default=5), 5),
        ({"max_lifetime": 2**53}, Bounds(default=5), 5),
        ({}, Bounds(default=5), 5),
    ],
)
def test_lifetimes(content: dict[str, Any] | None, bounds: Bounds, lifetime: int | None) -> None:
    assert lifetime_ms(content, bounds) == lifetime
