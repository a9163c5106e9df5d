"""Dot-separated property paths, by which filters and push rules name a property of an event.

Rules: https://spec.matrix.org/v1.19/appendices/#dot-separated-property-paths
"""

from __future__ import annotations

Path = tuple[str, ...]


def parse_path(path: str) -> Path:
    """The names in a path; an escaped dot or backslash belongs to its name, other backslashes are themselves."""
    if "\\" not in path:
        return tuple(path.split("."))
    names, name, escaped = [], "", False
    for char in path:
        if escaped:
            name += char if char in ".\\" else "\\" + char
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == ".":
            names.append(name)
            name = ""
        else:
            name += char
    return (*names, name + "\\" * escaped)
