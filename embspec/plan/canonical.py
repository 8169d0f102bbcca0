"""The one text of a value: in the key, in the lock and in a reason."""
from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import xxhash

# Read back as itself by a YAML 1.2 reader when left unquoted; anything else is written as JSON.
_PLAIN = re.compile(r"[A-Za-z0-9_./+(<=~^$;\\-][^\x00-\x1f\x7f-\x9f\ufeff\ud800-\udfff\u2028\u2029\ufffe\uffff]*")
_NOT_TEXT = re.compile(
    r"(?i)null|~|true|false|=|<<|\.{3}|[-+]?\.inf|\.nan|0[box][0-9a-f_]+|[-+]?0[box][0-9a-f_]+|"
    r"[-+]?(\d[\d_]*)?\.?[\d_]*(e[-+]?\d*)?|[-+]?\d[\d_]*(:\d+)+(\.[\d_]*)?|\d{4}-\d\d?-\d\d?.*"
)
_RAW = re.compile(r"[\x7f-\x9f\ufeff\ud800-\udfff\u2028\u2029\ufffe\uffff]")
_ITEM = re.compile(r"[^\s\"]+")


def scalar(value: Any) -> str:
    """A scalar, or a list of scalars, as the text that stands for it everywhere."""
    if isinstance(value, str):
        return value if _is_plain(value) else quoted(value)
    if isinstance(value, (list, tuple)):
        return scalar(" ".join(map(_item, value))) if value else "[]"
    return json.dumps(value, allow_nan=False)


def quoted(text: str) -> str:
    """A string as JSON, with escapes for all that YAML does not take as it is."""
    return _RAW.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))


def _is_plain(text: str) -> bool:
    if not _PLAIN.fullmatch(text) or _NOT_TEXT.fullmatch(text):
        return False
    if text[0] == "-" and text[1:2] in ("", " ", "-"):
        return False
    return not (": " in text or " #" in text or text.endswith((":", " ")))


def _item(value: Any) -> str:
    text = value if isinstance(value, str) else scalar(value)
    return text if _ITEM.fullmatch(text) else quoted(text)


def plain(text: str) -> Any:
    """The value a scalar's text stands for; a list comes back as its joined items."""
    if text.startswith('"'):
        return json.loads(text)
    if text == "[]":
        return []
    try:
        return json.loads(text, parse_constant=str)  # NaN is a word here, as it is to a YAML reader
    except ValueError:
        return text


def canonical_json(value: Any) -> bytes:
    """The bytes that are hashed for a key."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def short_hash(value: Mapping[str, Any]) -> str:
    """xxh3_128 of the canonical JSON: fast, for keys, never for content that leaves the machine."""
    return xxhash.xxh3_128_hexdigest(canonical_json(value))
