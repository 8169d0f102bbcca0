"""A server on this machine alone, which serves files well or badly, as a test tells it."""

from __future__ import annotations

import _socket
import base64
import hashlib
import hmac
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest

KEY, SECRET = "AKIDTESTTESTTEST", "s3cr3t/never+said"


class Afar:
    """The files by path, what was asked for, and how the next answers go wrong."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.faults: list[Callable[[Any], bool]] = []  # each takes one request; true where it answered it
        self.etags = True
        self.mark = ""  # the one that all files have; else each by its bytes
        self.sent = 0  # bytes of files
        self.port = 0

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [path for path, _ in self.asked]

    def answer(self, request: Any) -> None:
        """One request, by the next fault or as it should be."""
        self.asked.append((request.path, {name.lower(): value for name, value in request.headers.items()}))
        if self.faults and self.faults.pop(0)(request):
            return
        data = self.files.get(unquote(urlsplit(request.path).path))
        if data is None:
            request.send_error(404)
            return
        self.send(request, data, data)

    def send(self, request: Any, whole: bytes, sent: bytes) -> None:
        """A file, from where it is asked for; `sent` may be less than what is promised."""
        etag = self.mark or f'"{hashlib.md5(whole).hexdigest()}"'
        begin = 0
        if self.etags and request.headers.get("If-None-Match") == etag:
            request.send_response(304)
            request.end_headers()
            return
        asked = request.headers.get("Range", "")
        if asked and request.headers.get("If-Range", etag) == etag:
            begin = int(asked.removeprefix("bytes=").rstrip("-"))
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {begin}-{len(whole) - 1}/{len(whole)}")
        else:
            request.send_response(200)
        request.send_header("Content-Length", str(len(whole) - begin))
        if self.etags:
            request.send_header("ETag", etag)
        request.end_headers()
        self.sent += len(sent) - begin
        request.wfile.write(sent[begin:])


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Afar]:
    """The server, and leave to connect to it, and to nothing else."""
    afar = Afar()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_GET(self) -> None:
            """Hand it on."""
            afar.answer(self)

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    def connect(self: socket.socket, address: Any) -> None:
        assert address[0] == "127.0.0.1", f"a test opened a connection: {address}"
        _socket.socket.connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr("embspec.store.transport.PAUSE", 0.0)
    class Server(ThreadingHTTPServer):
        def handle_error(self, *args: Any) -> None:
            """Who hangs up first is no news."""

    server = Server(("127.0.0.1", 0), Handler)
    afar.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield afar
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def status(code: int, **headers: str) -> Callable[[Any], bool]:
    """An answer without a file."""

    def fault(request: Any) -> bool:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", "0")
        request.end_headers()
        return True

    return fault


def cut(afar: Afar, path: str, at: int) -> Callable[[Any], bool]:
    """A transfer that breaks off."""

    def fault(request: Any) -> bool:
        afar.send(request, afar.files[path], afar.files[path][:at])
        return True

    return fault


def part(data: bytes, length: int, etag: str = "") -> Callable[[Any], bool]:
    """A part of a file from where it is asked for, whatever else is asked, and perhaps not all that is left."""

    def fault(request: Any) -> bool:
        begin = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        sent = data[begin:begin + length]
        request.send_response(206)
        request.send_header("Content-Range", f"bytes {begin}-{begin + len(sent) - 1}/{len(data)}")
        request.send_header("Content-Length", str(len(sent)))
        request.send_header("ETag", etag or f'"{hashlib.md5(data).hexdigest()}"')
        request.end_headers()
        request.wfile.write(sent)
        return True

    return fault


def unsized(data: bytes) -> Callable[[Any], bool]:
    """A file whose length nobody says."""

    def fault(request: Any) -> bool:
        request.send_response(200)
        request.end_headers()
        request.wfile.write(data)
        return True

    return fault


def netrc_word(name: str, password: str) -> str:
    """What a server is told that asks for a name."""
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def lets_in(path: str, headers: dict[str, str]) -> bool:
    """Whether a request carries the right signature, counted out as a service does: from what has come alone."""
    fields = dict(part.strip().split("=", 1) for part in headers["authorization"].partition(" ")[2].split(","))
    who, day, region, service, end = fields["Credential"].split("/")
    if (who, service, end) != (KEY, "s3", "aws4_request") or not headers["x-amz-date"].startswith(day):
        return False
    names = fields["SignedHeaders"].split(";")
    if "host" not in names or any(name.startswith("x-amz-") and name not in names for name in headers):
        return False
    request = "GET\n" + quote(unquote(path.partition("?")[0]), safe="/") + "\n\n"  # spelt in the one way that is signed
    for name in names:
        request += name + ":" + " ".join(headers[name].split()) + "\n"
    request += "\n" + ";".join(names) + "\n" + headers["x-amz-content-sha256"]
    head = "AWS4-HMAC-SHA256\n" + headers["x-amz-date"] + "\n" + "/".join([day, region, service, end]) + "\n"
    code = ("AWS4" + SECRET).encode()
    for word in (day, region, service, end, head + hashlib.sha256(request.encode()).hexdigest()):
        code = hmac.digest(code, word.encode(), "sha256")
    return hmac.compare_digest(code.hex(), fields["Signature"])
