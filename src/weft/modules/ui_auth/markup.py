"""Pages for a browser, made from the templates in `pages/`: whole, without anything loaded from elsewhere.

Every value is escaped on its way in. The security policy allows just the style and the script that are on the page, by
their hashes, so that nothing that slipped in could run.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from html import escape
from importlib import resources
from string import Template
from typing import NamedTuple

from weft.protocol.api.endpoint import Raw


class Html(NamedTuple):
    """Markup that is safe as it is."""

    text: str


@cache
def _file(name: str) -> str:
    return resources.files("weft.modules.ui_auth").joinpath("pages", name).read_text(encoding="utf-8")


def part(template: str, /, **values: str | Html) -> Html:
    """A template with values put in; text is escaped, `Html` is not."""
    filled = {key: value.text if isinstance(value, Html) else escape(value) for key, value in values.items()}
    return Html(Template(_file(f"{template}.html")).substitute(filled))


def joined(parts: list[Html], separator: str = "") -> Html:
    return Html(separator.join(each.text for each in parts))


def page(title: str, content: Html, *, script: str | None = None, status: int = 200) -> Raw:
    """A whole page. `script` names a file in `pages/`."""
    style = _file("style.css")
    code = _file(f"{script}.js") if script else ""
    markup = part(
        "layout",
        title=title,
        style=Html(style),
        content=content,
        script=Html(f"<script>{code}</script>" if code else ""),
    )
    return Raw(
        body=markup.text.encode(),
        status=status,
        content_type="text/html; charset=utf-8",
        headers=_headers(style, code),
    )


def _headers(style: str, code: str) -> dict[str, str]:
    policy = [
        "default-src 'none'",
        f"style-src '{_hash(style)}'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
    if code:
        policy += [f"script-src '{_hash(code)}'", "connect-src 'self'"]
    return {
        "Content-Security-Policy": "; ".join(policy),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
