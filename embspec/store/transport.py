"""Bytes over https, into a file: whole or not at all, through breaks and redirects, and no secret in what is said."""
from __future__ import annotations

import hashlib
import http.client
import netrc
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import IO, Any, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from embspec.errors import EmbspecError, fail
from embspec.store.fetched import UNMARKED, Mark
from embspec.store.files import disk

TIMEOUT = 30.0  # seconds without a byte
TRIES = 5
PAUSE = 0.5  # seconds before the second try, twice as many before each that follows
HOPS = 5
BLOCK = 1 << 16
EVERY = 8 << 20  # bytes between two words of progress
REFUSED = "input.remote"
UNLESS = "If-None-Match"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_SAFE = "/%:@!$&'()*+,;=~-._"
_LENGTH = re.compile(r"[0-9]{1,18}")
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")

Headers = Mapping[str, str]
Tell = Callable[[str, int, int], None]


class Asked(NamedTuple):
    """A file: its address as people know it, where it is got, and what is said there to be let in."""

    shown: str
    url: str
    field: str
    headers: Callable[[str, Headers], Headers]  # from url and headers: these and those that let in
    follows: bool = True  # whether it may be told to look elsewhere


class Changed(Exception):
    """What is there cannot be what is pinned; the text says what is there."""


class Same(Exception):
    """The server says that what is there has the mark that it was asked with."""


class Came(NamedTuple):
    """A file that came: its sha256, and the mark that the server gave its bytes, if any."""

    sha256: str
    mark: Mark


class _Again(Exception):
    """Something that may not happen a second time."""


class _Anew(_Again):
    """And then from the first byte."""


class _Got:
    """What has come so far."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.etag = self.place = ""
        self.total = 0
        self.begin()

    def begin(self) -> None:
        """From the first byte."""
        self.hash, self.size = hashlib.sha256(), 0
        with disk(self.path):
            open(self.path, "wb").close()

    def add(self, data: bytes, file: IO[bytes]) -> None:
        """The next bytes."""
        file.write(data)
        self.hash.update(data)
        self.size += len(data)


class _Stay(urllib.request.HTTPRedirectHandler):
    """Where it leads is looked at before it is followed."""

    def redirect_request(self, *args: Any) -> None:
        return None


def download(asked: Asked, path: str, size: int | None, most: int, tell: Tell, mark: Mark = UNMARKED) -> Came:
    """Fetch a file to `path`, unless it still has this mark.

    Of a pinned file `size` is known, and `most` is what may come at all.
    """
    got, last = _Got(path), ""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        try:
            _once(asked, got, size, most, tell, mark)
        except _Again as error:
            last = str(error)
            if isinstance(error, _Anew):
                got.begin()
                got.etag = ""
            continue
        return Came(got.hash.hexdigest(), Mark(got.etag, got.place))
    raise fail("remote.unreachable", f"`{asked.shown}` could not be fetched in {TRIES} tries: {last}",
               fix="run the command again when it can be reached", field=asked.field)


def _once(asked: Asked, got: _Got, size: int | None, most: int, tell: Tell, mark: Mark) -> None:
    """One try, which goes on where the one before it broke off, if the server can say that it is the same file."""
    headers = {"Accept-Encoding": "identity", "User-Agent": "embspec"}
    if got.size and got.etag:
        headers |= {"Range": f"bytes={got.size}-", "If-Range": got.etag}
        mark = UNMARKED
    reply, place = _reply(asked, headers, mark)
    with reply:
        if reply.headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
            raise _refused(asked, "it is sent compressed though it was asked for as it is",
                           "store it without a Content-Encoding")
        if not _goes_on(reply, place, got):
            got.begin()
        got.etag, got.place = _strong(reply.headers.get("ETag", "")), place
        got.total = _total(reply, got)
        _fits(asked, got, size, most, reply)
        _pour(asked, reply, got, size, most, tell)
    if got.total and got.size != got.total:
        raise _Again(f"the transfer broke off after {got.size} of {got.total} bytes")


def _goes_on(reply: Any, place: str, got: _Got) -> bool:
    """Whether what comes begins where the last try ended, and is of the same file."""
    if reply.status != 206:
        return False
    found = _RANGE.fullmatch(reply.headers.get("Content-Range", ""))
    # Not every server looks at If-Range.
    same = got.etag and (_strong(reply.headers.get("ETag", "")), place) == (got.etag, got.place)
    if not (found and same and int(found[1]) == got.size):
        raise _Anew("the server sent another part than it was asked for")
    return True


def _strong(etag: str) -> str:
    return etag if etag.startswith('"') else ""


def _total(reply: Any, got: _Got) -> int:
    """The size of the whole file; 0 where the server does not say it. A part may end before the file does."""
    if part := _RANGE.fullmatch(reply.headers.get("Content-Range", "")) if reply.status == 206 else None:
        return int(part[3])
    return got.size + int(reply.headers["Content-Length"]) if _sized(reply) else 0


def _sized(reply: Any) -> bool:
    return bool(_LENGTH.fullmatch(reply.headers.get("Content-Length", "")))


def _fits(asked: Asked, got: _Got, size: int | None, most: int, reply: Any) -> None:
    chunked = "chunked" in reply.headers.get("Transfer-Encoding", "").lower()
    sized = _sized(reply)
    if size is not None and sized and got.total != size:
        raise Changed(f"a file of {got.total} bytes")
    if got.total > most:
        raise _too_large(asked, got.total, most)
    if size is None and not sized and not chunked:
        raise _refused(asked, "the server does not say how long it is, so that nobody can tell whether it came whole",
                       "let it send a Content-Length, or copy the file into the project")


def _pour(asked: Asked, reply: Any, got: _Got, size: int | None, most: int, tell: Tell) -> None:
    with disk(got.path), open(got.path, "ab") as file:
        while data := _block(reply):
            before = got.size // EVERY
            got.add(data, file)
            if size is not None and got.size > size:
                raise Changed(f"a file of more than {size} bytes")
            if got.size > most:
                raise _too_large(asked, got.size, most)
            if got.size // EVERY > before:
                tell(asked.shown, got.size, got.total or size or 0)


def _block(reply: Any) -> bytes:
    try:
        data: bytes = reply.read(BLOCK)
    except (OSError, http.client.HTTPException) as error:
        raise _Again(_word(error)) from None
    return data


def _reply(asked: Asked, headers: Headers, mark: Mark) -> tuple[Any, str]:
    """The answer with the file in it, and its place; our credentials are for the first server alone."""
    url, home = _quoted(asked.url), True
    for _ in range(1 + HOPS):
        place = _place(url)
        given = {**headers, UNLESS: mark.etag} if mark.etag and mark.place == place else headers
        reply = _open(url, asked.headers(url, given) if home else given)
        if reply.status in (200, 206):
            return reply, place
        with reply:
            if reply.status == 304 and UNLESS in given:
                raise Same
            to = reply.headers.get("Location", "") if reply.status in (301, 302, 303, 307, 308) else ""
            if not (to and asked.follows):
                raise _answered(asked, reply)
        to = _next(asked, url, to)
        url, home = to, home and _origin(to) == _origin(url)  # who was led away is not let in on the way back
    raise _refused(asked, f"it leads on more than {HOPS} times", "name the address where the file lies")


def _next(asked: Asked, url: str, to: str) -> str:
    """Where a redirect leads; it may hold a signature, so that nothing but its host is ever said."""
    try:
        found = urljoin(url, to)
        now, then, escaped = urlsplit(found), urlsplit(url), _quoted(found)
        (_, host, _), before = _origin(escaped), then.hostname or ""
    except ValueError:
        raise _refused(asked, "it leads to no address that can be read", "name the address of the file") from None
    local = now.scheme == "http" and host in _LOOPBACK and before in _LOOPBACK
    if not host or not (now.scheme == "https" or local):
        raise _refused(asked, f"it leads to {now.scheme or 'an'}://{host}, which is not encrypted",
                       "name an address that stays on https")
    return escaped


def _origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: whoever differs in one of them may be somebody else."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _place(url: str) -> str:
    """Where a file lies, as nobody can read it: a path may be a secret, and what stands behind it is often a signature.

    A signature is another each time.
    """
    return hashlib.sha256(url.partition("?")[0].encode()).hexdigest()


def _open(url: str, headers: Headers) -> Any:
    request = urllib.request.Request(url, headers=dict(headers))
    local = (urlsplit(url).hostname or "") in _LOOPBACK
    opener = urllib.request.build_opener(_Stay, *([urllib.request.ProxyHandler({})] if local else []))
    try:
        return opener.open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        return error
    except (OSError, http.client.HTTPException) as error:  # a URLError is an OSError
        raise _Again(_word(error)) from None
    except ValueError:
        raise _Again("the server's address cannot be used") from None


def _answered(asked: Asked, reply: Any) -> Exception:
    """What a server's refusal means; its page is not repeated, for it may hold what was signed."""
    status = reply.status
    if status == 416:
        return _Anew("the server has no such part")
    if status in (408, 425, 429) or status >= 500:
        return _Again(f"the server answered {status}")
    region = reply.headers.get("x-amz-bucket-region", "")
    if re.fullmatch(r"[a-z0-9-]{1,40}", region) and status in (301, 307, 400):
        return _refused(asked, f"the bucket lies in region {region}", f"set AWS_REGION={region}")
    if status in (401, 403, 407):
        where = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" if asked.shown.startswith("s3://") else "a netrc file"
        return _refused(asked, f"the server lets nobody in without the right credentials ({status})",
                        f"they are taken from {where}")
    if status in (404, 410):
        return _refused(asked, f"there is nothing ({status})", "correct the address")
    return _refused(asked, f"the server answered {status}", "look at the address in a browser")


def _refused(asked: Asked, text: str, fix: str) -> EmbspecError:
    return fail(REFUSED, f"`{asked.shown}` cannot be fetched: {text}", fix=fix, field=asked.field)


def _too_large(asked: Asked, size: int, most: int) -> EmbspecError:
    return fail("disk.full", f"`{asked.shown}` has {size} bytes or more, and there is room for {most}",
                fix="free some space, or set EMBSPEC_STORE to another disk", field=asked.field)


def _word(error: Exception) -> str:
    """What went wrong on the way, without the address, which an error of ours has already."""
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError):
        return f"nothing came for {TIMEOUT:.0f} seconds"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror[:1].lower() + reason.strerror[1:]
    return type(reason).__name__ if isinstance(reason, Exception) else "no connection"


def _quoted(url: str) -> str:
    """Letters that no request may hold as they are, escaped; what is escaped already stays."""
    parts = urlsplit(url)
    host, colon, port = parts.netloc.partition(":")
    netloc = f"{host.encode('idna').decode()}{colon}{port}" if not host.isascii() else parts.netloc
    return parts._replace(netloc=netloc, path=quote(parts.path, safe=_SAFE),
                          query=quote(parts.query, safe=_SAFE + "?")).geturl()


def from_netrc(environ: Mapping[str, str]) -> Callable[[str, Headers], Headers]:
    """Name and password of a host from `$NETRC` or `~/.netrc`, as git and curl take them."""
    path = environ.get("NETRC") or os.path.join(os.path.expanduser("~"), ".netrc")

    def headers(url: str, given: Headers) -> Headers:
        try:
            found = netrc.netrc(path).authenticators(urlsplit(url).hostname or "")
        except (FileNotFoundError, NotADirectoryError):
            return given
        except (OSError, netrc.NetrcParseError):
            raise fail("usage.netrc", f"`{path}` cannot be read as a netrc file", fix="correct it") from None
        if not found or not found[2]:
            return given
        import base64

        word = base64.b64encode(f"{found[0]}:{found[2]}".encode()).decode()
        return {**given, "Authorization": f"Basic {word}"}

    return headers
