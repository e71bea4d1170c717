"""Words that a file carries about itself: a title, and what made it as a JSON object in its comment."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape

MOST = 8 << 10
"""Bytes of UTF-8 that one text may have; the rest of it is left out."""
MORE = "…"
UNSHOWN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""What is no text in XML, and ends it elsewhere."""


@dataclass(frozen=True)
class Tags:
    """Both are text that every container takes, and empty where there is nothing to say."""

    title: str = ""
    comment: str = ""


def tags(title: str, metadata: Mapping[str, str | int | float]) -> Tags:
    """Of any text and plain data whatsoever."""
    plain = {name: _cut(value) if isinstance(value, str) else value for name, value in metadata.items()}
    comment = json.dumps(plain, ensure_ascii=False) if plain else ""
    # JSON has a way to write what XML does not know, so nothing of it is lost.
    return Tags(UNSHOWN.sub("", _cut(title)), UNSHOWN.sub(lambda found: f"\\u{ord(found[0]):04x}", comment))


def xmp(said: Tags) -> bytes:
    """As Adobe's XMP, which WebP takes."""
    properties = "".join(
        f'<dc:{name}><rdf:Alt><rdf:li xml:lang="x-default">{escape(text)}</rdf:li></rdf:Alt></dc:{name}>'
        for name, text in (("title", said.title), ("description", said.comment))
        if text
    )
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f'{properties}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    ).encode()


def _cut(text: str) -> str:
    data = text.encode("utf-8", "replace")
    if len(data) <= MOST:
        return data.decode()
    return data[: MOST - len(MORE.encode())].decode("utf-8", "ignore") + MORE
