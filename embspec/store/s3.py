"""Files in S3 and what speaks its language: where an object is asked for, and the signature that lets us in."""
from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from embspec.errors import fail
from embspec.store.transport import Asked, Headers

_EMPTY = hashlib.sha256(b"").hexdigest()
_ALGORITHM = "AWS4-HMAC-SHA256"


class Key(NamedTuple):
    """Who asks; its texts are never printed."""

    id: str
    secret: str
    token: str = ""

    def __repr__(self) -> str:
        return "Key(…)"


def asked(address: str, field: str, environ: Mapping[str, str]) -> Asked:
    """How an object is asked for: signed where the environment has a key, else as anybody may."""
    bucket, _, name = address.removeprefix("s3://").partition("/")
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL") or ""
    if endpoint and not endpoint.startswith(("https://", "http://")):
        raise fail("usage.endpoint", "AWS_ENDPOINT_URL is no address", fix="write https://HOST or http://HOST:PORT")
    key = _key(environ)

    def headers(url: str, given: Headers) -> Headers:
        return signed("GET", url, given, key, region, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())) if key else given

    return Asked(address, url_of(bucket, name, region, endpoint), field, headers, follows=False)


def _key(environ: Mapping[str, str]) -> Key | None:
    name, secret = environ.get("AWS_ACCESS_KEY_ID", ""), environ.get("AWS_SECRET_ACCESS_KEY", "")
    if bool(name) != bool(secret):
        raise fail("usage.credentials", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY go together, and one is not set",
                   fix="set both, or none for what anybody may read")
    return Key(name, secret, environ.get("AWS_SESSION_TOKEN", "")) if name else None


def url_of(bucket: str, name: str, region: str, endpoint: str) -> str:
    """Where an object lies: below its bucket's own host at Amazon, below the bucket's folder elsewhere."""
    path = "/" + quote(name, safe="/~")
    if endpoint:
        return f"{endpoint.rstrip('/')}/{bucket}{path}"
    if "." in bucket:  # no certificate has it as a host
        return f"https://s3.{region}.amazonaws.com/{bucket}{path}"
    return f"https://{bucket}.s3.{region}.amazonaws.com{path}"


def signed(method: str, url: str, given: Headers, key: Key, region: str, now: str) -> dict[str, str]:
    """The headers with a signature of version 4; `now` is UTC as 20130524T000000Z."""
    parts = urlsplit(url)
    sent = {**given, "x-amz-date": now, "x-amz-content-sha256": _EMPTY}
    if key.token:
        sent["x-amz-security-token"] = key.token
    # Those that a proxy may change are not signed.
    named = {name.lower(): value.strip() for name, value in sent.items()
             if name.lower().startswith("x-amz-") or name.lower() in ("range", "if-range")}
    named["host"] = parts.netloc
    names = sorted(named)
    lines = "".join(f"{name}:{named[name]}\n" for name in names)
    query = "&".join(sorted(parts.query.split("&"))) if parts.query else ""
    canonical = "\n".join([method, parts.path or "/", query, lines, ";".join(names), _EMPTY])
    scope = f"{now[:8]}/{region}/s3/aws4_request"
    text = "\n".join([_ALGORITHM, now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    signature = _chain(key.secret, now[:8], region)(text).hex()
    sent["Authorization"] = (
        f"{_ALGORITHM} Credential={key.id}/{scope}, SignedHeaders={';'.join(names)}, Signature={signature}")
    return sent


def _chain(secret: str, day: str, region: str) -> Callable[[str], bytes]:
    code = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        code = _hmac(code, part)
    return lambda text: _hmac(code, text)


def _hmac(code: bytes, text: str) -> bytes:
    return hmac.new(code, text.encode(), hashlib.sha256).digest()
