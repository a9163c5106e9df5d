"""What a page says of itself: OpenGraph, else what else it says, else its beginning.

A program of its own: `python -I page_worker.py`, which imports nothing of Weft. A page of a megabyte can make a correct
reader of HTML take minutes and gigabytes: whoever asks kills the process when it takes too long, and its memory is
limited. It is asked by lines of JSON on standard input, and ends when nobody asks for a while.

    {"body": "<base64>", "charset": "utf-8", "url": "https://example.org/"}
    {"og": {"og:title": "A title"}, "image": "https://example.org/a.png", "oembed": null}

https://ogp.me/ · https://html.spec.whatwg.org/multipage/parsing.html#determining-the-character-encoding
"""

from __future__ import annotations

import base64
import codecs
import json
import re
import resource
import select
import sys
from dataclasses import asdict, dataclass, field
from typing import Final
from urllib.parse import urljoin

from selectolax.lexbor import LexborHTMLParser, LexborNode

_MOST_MEMORY: Final = 1 << 30
_IDLE_SECONDS: Final = 60

#: Characters of a value that are kept, and values.
MAX_VALUE: Final = 1_000
_MOST_VALUES: Final = 40
_DESCRIPTION: Final = 500
#: Bytes in which a page says how it is written.
_HEAD: Final = 4_096
#: A page of so many bytes may have been cut off.
_CUT_AT: Final = 1 << 20
_MOST_PICTURES: Final = 500

#: What pages may be written in: what browsers know, and nothing that is no writing (Python knows such, too).
_ENCODINGS: Final = re.compile(
    r"utf-?8|utf-?16(le|be)?|us-ascii|iso-?8859-?\d{1,2}|latin-?1|windows-?(874|125\d)|cp125\d|koi8-?[ru]"
    r"|shift[_-]?jis|euc-?jp|iso-?2022-?jp|euc-?kr|gb2312|gbk|gb18030|big5(-hkscs)?|macintosh"
)
_META_CHARSET: Final = re.compile(rb"<meta[^>]{0,500}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_-]{1,40})", re.IGNORECASE)
_XML_ENCODING: Final = re.compile(rb"^\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9_-]{1,40})")
#: Browsers take these for what includes them.
_MEANT: Final = {"us-ascii": "cp1252", "iso-8859-1": "cp1252", "latin-1": "cp1252", "latin1": "cp1252"}
_BOMS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))

#: What of a page is not its text.
_NOT_TEXT: Final = [
    "script", "style", "noscript", "template", "svg", "nav", "header", "footer", "aside", "form", "button", "iframe",
    "select", "textarea", "head",
]  # fmt: skip
#: In the place of an OpenGraph property that is missing, in this order.
_INSTEAD: Final = {
    "og:title": ("twitter:title",),
    "og:description": ("twitter:description", "description"),
    "og:image": ("twitter:image", "twitter:image:src"),
    "og:site_name": ("application-name",),
}


def main() -> None:
    for limit, value in ((resource.RLIMIT_AS, _MOST_MEMORY), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(limit, (value, value))
    while select.select([sys.stdin], [], [], _IDLE_SECONDS)[0]:
        line = sys.stdin.readline()
        if not line:
            break
        asked = json.loads(line)
        page = read(decoded(base64.b64decode(asked["body"]), asked["charset"]), asked["url"])
        sys.stdout.write(json.dumps(asdict(page)) + "\n")
        sys.stdout.flush()


@dataclass(slots=True)
class Page:
    """`og` are its properties without pictures and films; `image` and `oembed` are addresses."""

    og: dict[str, str] = field(default_factory=dict)
    image: str | None = None
    oembed: str | None = None


def decoded(body: bytes, declared: str | None) -> str:
    """A page's text, by what its header, its beginning or it itself says; whatever can't be read is replaced."""
    for bom, encoding in _BOMS:
        if body.startswith(bom):
            return body[len(bom) :].decode(encoding, "replace")
    head = body[:_HEAD]
    named = [match[1].decode() for pattern in (_XML_ENCODING, _META_CHARSET) if (match := pattern.search(head))]
    for name in map(str.lower, [*([declared] if declared else []), *named]):
        if _ENCODINGS.fullmatch(name):
            try:
                return body.decode(_MEANT.get(name, name), "replace")
            except LookupError:
                continue
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        # A page may have been cut off in the middle of a letter; `body` is not so short then.
        is_cut = error.reason == "unexpected end of data" and len(body) >= _CUT_AT
        return body.decode("utf-8" if is_cut else "cp1252", "replace")


def read(text: str, url: str) -> Page:
    """What a page at that address says of itself."""
    tree = LexborHTMLParser(text)
    page = Page()
    said = _meta(tree)
    for name, value in said.items():
        if name.startswith("og:") and not name.startswith(("og:image", "og:video", "og:audio")):
            page.og[name] = value
    for name, others in _INSTEAD.items():
        if name not in page.og and name != "og:image":
            instead = next((said[other] for other in others if other in said), None)
            if instead is not None:
                page.og[name] = instead
    base = _absolute(url, _attribute(tree.css_first("base[href]"), "href")) or url
    page.oembed = _absolute(base, _attribute(tree.css_first('link[type="application/json+oembed"]'), "href"))
    page.image = _absolute(base, _picture(tree, said))
    if "og:title" not in page.og and (title := _title(tree)):
        page.og["og:title"] = title
    if "og:description" not in page.og and (description := _beginning(tree)):
        page.og["og:description"] = description
    return page


def tidy(text: object, most: int = MAX_VALUE) -> str:
    """A text in one line, of a bearable length; empty for what is no text."""
    if not isinstance(text, str):
        return ""
    line = " ".join(text[: most * 4].replace("\0", "").split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def _meta(tree: LexborHTMLParser) -> dict[str, str]:
    """The page's `meta` tags by name; the first of a name counts."""
    said: dict[str, str] = {}
    for node in tree.css("meta[content]"):
        attributes = node.attributes
        name = tidy(attributes.get("property") or attributes.get("name"), 100).lower()
        value = tidy(attributes.get("content"))
        if name and value and name not in said:
            said[name] = value
            if len(said) >= _MOST_VALUES:
                break
    return said


def _picture(tree: LexborHTMLParser, said: dict[str, str]) -> str | None:
    for name in ("og:image:secure_url", "og:image", "og:image:url", *_INSTEAD["og:image"]):
        if name in said:
            return said[name]
    named = _attribute(tree.css_first('link[rel="image_src"]'), "href") or _attribute(
        tree.css_first('meta[itemprop="image"]'), "content"
    )
    if named:
        return named
    # The largest that says how large it is.
    pictures = [node.attributes for node in tree.css("img[src]")[:_MOST_PICTURES]]
    sized = [(_area(one), one.get("src")) for one in pictures]
    return max(sized, key=lambda one: one[0], default=(0, None))[1] if any(area for area, _ in sized) else None


def _area(attributes: dict[str, str | None]) -> int:
    width, height = attributes.get("width") or "", attributes.get("height") or ""
    if not (width.isascii() and width.isdigit() and height.isascii() and height.isdigit()):
        return 0
    area = int(width[:5]) * int(height[:5])
    return area if area > 100 else 0  # a dot that counts visitors


def _title(tree: LexborHTMLParser) -> str:
    for selector in ("title", "h1", "h2", "h3"):
        node = tree.css_first(selector)
        if node is not None and (title := tidy(node.text())):
            return title
    return ""


def _beginning(tree: LexborHTMLParser) -> str:
    """The first sentences of a page's text."""
    tree.strip_tags(_NOT_TEXT)
    if tree.body is None:
        return ""
    paragraphs = [text for node in tree.css("p")[:50] if len(text := tidy(node.text(separator=" "))) > 40]
    return tidy(" ".join(paragraphs) or tree.body.text(separator=" ")[: 8 * _DESCRIPTION], _DESCRIPTION)


def _attribute(node: LexborNode | None, name: str) -> str | None:
    return None if node is None else node.attributes.get(name)


def _absolute(base: str, address: str | None) -> str | None:
    """An address on a page, as one that can be asked."""
    if not address or len(address) > 4_096:
        return None
    try:
        joined = urljoin(base, address.strip())
    except ValueError:
        return None
    return joined if joined.startswith(("https://", "http://")) else None


if __name__ == "__main__":
    main()
