"""Reading the content blocks of extensible events (MSC1767), as far as a server has to.

Readers here are tolerant, since they serve push, search and previews: whatever is misshapen is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

#: Stable, and the names that rooms of version `org.matrix.msc1767.10` use.
_TEXT_BLOCKS: Final = ("m.text", "org.matrix.msc1767.text")
_PLAIN: Final = "text/plain"


def plain_text(content: Mapping[str, Any]) -> str | None:
    """The first plain representation of the text block; None if there is none.

    A string in the place of the block is one plain representation, as the block's older shape had it.
    """
    block = next((content[name] for name in _TEXT_BLOCKS if name in content), None)
    if isinstance(block, str):
        return block
    if not isinstance(block, list):
        return None
    for representation in block:
        if isinstance(representation, dict) and representation.get("mimetype", _PLAIN) == _PLAIN:
            body = representation.get("body")
            if isinstance(body, str):
                return body
    return None
