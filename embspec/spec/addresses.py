"""Addresses where a spec may name files: https:// and s3://, and only as plain names that hold no secret."""
from __future__ import annotations

import re
from urllib.parse import urlsplit

from embspec.errors import Problem, Where

# What is fetched and pinned; of everything else a spec names the file has to lie in the project.
FETCHED = re.compile(r"corpus\.path(\.\d+)?|pairs\.[^.]+\.path|negatives\.miners\.\d+\.path")
_PLACES = re.compile(r".+\.url")  # where something is written, or served from: no input
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_COPY = "copy the file into the project and name it by its path"


def address_problem(text: str, where: Where, field: str) -> Problem | None:
    """What is wrong with an address that a field names; None when nothing is."""
    if _PLACES.fullmatch(field):
        return None
    if not FETCHED.fullmatch(field):
        text = f"`{field}` is a file of the project, and this is an address"
        return Problem("spec.address", text, where, _COPY, field)
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        _ = parts.port, host.encode("idna") if parts.scheme != "s3" else b""
    except ValueError:
        return Problem("spec.address", "this is no address that can be read", where, _shape(), field)
    # Neither of these two repeats the address: what stands there may be a password, or as good as one.
    if "@" in parts.netloc:
        return Problem("spec.secret", "an address with a user or a password may not stand in a spec", where,
                       "credentials of https come from a netrc file, those of s3 from the environment", field)
    if parts.query or parts.fragment or text.endswith(("?", "#")):
        return Problem("spec.address", "an address with `?` or `#` is not fetched: what stands behind may be a "
                       "signature, and it would be written into the lock", where,
                       "name the file by its plain address", field)
    if parts.scheme == "http" and host not in _LOOPBACK:
        return Problem("spec.address", f"`{text}` is not encrypted: anybody on the way may change what is pinned",
                       where, "write https://", field)
    if parts.scheme not in ("https", "http", "s3"):
        text = f"`{parts.scheme}://` is not fetched; https:// and s3:// are"
        return Problem("spec.address", text, where, _COPY, field)
    if not text.startswith(f"{parts.scheme}://"):
        return Problem("spec.address", f"`{text}` names its kind in capitals", where, f"write {parts.scheme}://", field)
    if not host or not parts.path.strip("/"):
        return Problem("spec.address", f"`{text}` names no file", where, _shape(), field)
    if re.search(r"[*\[\s\x00-\x1f\x7f]", text):
        return Problem("spec.address", f"`{text}` is a pattern, or has a blank: behind an address is one file", where,
                       "list the files one by one; " + ("a key with a blank has to be copied to another"
                       if parts.scheme == "s3" else "%20 is a blank"), field)
    return None


def _shape() -> str:
    return "write https://HOST/FOLDER/FILE or s3://BUCKET/KEY"
