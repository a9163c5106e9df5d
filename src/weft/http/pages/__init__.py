"""Pages for a browser, made from templates: whole, without anything loaded from elsewhere.

    pages = Pages("weft.modules.ui_auth")
    pages.page("Terms", pages.part("terms", session=session, problem=pages.problem(message)))

A module's templates are in its folder `pages/`; layout and style are here, the same for all.

Every value is escaped on its way in. The security policy allows just the style and the script that are on the page, by
their hashes, so that nothing that slipped in could run.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib import resources
from string import Template
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

from weft.protocol.api.endpoint import Raw
from weft.protocol.errors import InvalidParam

#: The package of the layout and the style.
_SHARED: Final = "weft.http.pages"


class Html(NamedTuple):
    """Markup that is safe as it is."""

    text: str


def joined(parts: list[Html], separator: str = "") -> Html:
    return Html(separator.join(each.text for each in parts))


def documents(policies: Mapping[str, Any]) -> Html:
    """A box to tick for each document of a policy (`m.login.terms` has these), with a link to it in each language."""
    return joined([_filled(_SHARED, "document", id=id_, links=_links(policy)) for id_, policy in policies.items()])


def _links(policy: Mapping[str, Any]) -> Html:
    translations = [(language, text) for language, text in policy.items() if isinstance(text, dict)]
    links = [
        _filled(_SHARED, "document_link", url=_web(text["url"]), language=language, name=text["name"])
        for language, text in translations
    ]
    return joined(links, separator=" · ")


def _web(url: str) -> str:
    return url if urlsplit(url).scheme in ("http", "https") else ""


def read_form(body: bytes) -> dict[str, str]:
    """The fields of a form as a browser posts it; those that repeat are joined by line breaks.

    Raises `InvalidParam` for what is no form.
    """
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise InvalidParam("The form can't be read.") from None
    return {name: "\n".join(values) for name, values in fields.items()}


class Pages:
    """The pages of one module: `package` has the templates in its folder `pages/`."""

    def __init__(self, package: str) -> None:
        self._package = package

    def part(self, template: str, /, **values: str | Html) -> Html:
        """A template with values put in; text is escaped, `Html` is not."""
        return _filled(self._package, template, **values)

    def problem(self, message: str) -> Html:
        """What went wrong, as a paragraph that screen readers say at once; nothing where there is no message."""
        return _filled(_SHARED, "problem", message=message) if message else Html("")

    def page(
        self, title: str, content: Html, *, script: str | None = None, status: int = 200, leads_to: str = ""
    ) -> Raw:
        """A whole page. `script` names a file of the module's.

        `leads_to`: besides this server, where a form's answer may send the browser, as `form-action` has it.
        """
        style = _file(_SHARED, "style.css")
        code = _file(self._package, f"{script}.js") if script else ""
        markup = _filled(
            _SHARED,
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
            headers=_headers(style, code, leads_to),
        )


@cache
def _file(package: str, name: str) -> str:
    folder = resources.files(package)
    return (folder if package == _SHARED else folder.joinpath("pages")).joinpath(name).read_text(encoding="utf-8")


def _filled(package: str, template: str, /, **values: str | Html) -> Html:
    filled = {key: value.text if isinstance(value, Html) else escape(value) for key, value in values.items()}
    return Html(Template(_file(package, f"{template}.html")).substitute(filled))


def _headers(style: str, code: str, leads_to: str) -> dict[str, str]:
    policy = [
        "default-src 'none'",
        f"style-src '{_hash(style)}'",
        f"form-action 'self' {leads_to}".rstrip(),
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
