"""Files that lie elsewhere: whole or not at all, held to their pin, and no secret in what is said."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from embspec.errors import INVALID, NOWHERE, UNREACHABLE, USAGE, EmbspecError
from embspec.store import s3
from embspec.store.fetched import Fetched
from embspec.store.objects import Objects
from embspec.store.remote import Wanted, bring, pin_of
from embspec.store.transport import _origin
from tests.support import afar as faults
from tests.support.afar import KEY, SECRET, Afar, lets_in, netrc_word, serving, status

DATA = bytes(range(256)) * 3000  # more than one block


@pytest.fixture
def afar(monkeypatch: pytest.MonkeyPatch) -> Iterator[Afar]:
    """A server that has one file."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "NETRC", "AWS_REGION",
                 "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    with serving(monkeypatch) as found:
        found.files["/docs.jsonl"] = DATA
        monkeypatch.setenv("AWS_ENDPOINT_URL", found.url)
        yield found


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    """An empty store."""
    return Objects(str(tmp_path / "store"))


def pinned(data: bytes = DATA) -> str:
    """What the lock says of bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()} {len(data)}"


def fetched(afar: Afar, objects: Objects, pin: str = "", path: str = "/docs.jsonl", **more: Any) -> str:
    """The pin of a file that was brought."""
    address = path if "://" in path else afar.url + path
    known = Fetched(f"{objects.store}-state")
    return bring(Wanted(address, pin, "corpus", "corpus.path", **more), objects, lambda *said: None, known)


def refused(afar: Afar, objects: Objects, pin: str = "", path: str = "/docs.jsonl", **more: Any) -> EmbspecError:
    """The error of one that was not; nothing of it is left in the store."""
    with pytest.raises(EmbspecError) as caught:
        fetched(afar, objects, pin, path, **more)
    assert caught.value.problems[0].field in ("corpus.path", "")
    assert [p for p in Path(objects.store).rglob("*") if p.is_file()] == []
    return caught.value


def test_a_file_is_fetched_once(afar: Afar, objects: Objects) -> None:
    """What was fetched is what is served, and with its pin nobody is asked for it again."""
    pin = fetched(afar, objects)
    assert pin == pinned()
    with objects.open(pin.split(" ")[0]) as file:
        assert file.read() == DATA
    assert fetched(afar, objects, pin) == fetched(afar, objects, pin, may_fetch=False) == pin
    assert afar.paths == ["/docs.jsonl"]


def test_what_is_still_the_same_does_not_come_again(afar: Afar, objects: Objects) -> None:
    """Without a pin the server is asked each time, by the mark it gave, and sends what has another."""
    pin = fetched(afar, objects)
    assert fetched(afar, objects) == pin == pinned()
    assert [headers.get("if-none-match", "")[:1] for _, headers in afar.asked] == ["", '"']
    assert afar.sent == len(DATA)
    afar.files["/docs.jsonl"] = DATA[::-1]
    assert fetched(afar, objects) == fetched(afar, objects) == pinned(DATA[::-1])
    assert afar.sent == 2 * len(DATA)
    Path(objects.path(pinned(DATA[::-1]).split(" ")[0])).unlink()  # what is not in the store has to come
    assert fetched(afar, objects) == pinned(DATA[::-1])
    assert afar.sent == 3 * len(DATA)


def test_a_mark_is_of_the_place_that_gave_it(afar: Afar, objects: Objects) -> None:
    """Where an address leads to another file now, that one comes, though its server calls it by the same mark."""
    afar.files |= {"/v1": DATA, "/v2": DATA[::-1]}
    afar.mark = '"1"'
    afar.faults = [status(302, Location="/v1?sig=a")]
    assert fetched(afar, objects, path="/latest") == pinned()
    afar.faults = [status(302, Location="/v1?sig=b")]  # signed anew, and the same place
    assert (fetched(afar, objects, path="/latest"), afar.sent) == (pinned(), len(DATA))
    afar.faults = [status(302, Location="/v2")]
    assert fetched(afar, objects, path="/latest") == pinned(DATA[::-1])
    assert [headers.get("if-none-match") for _, headers in afar.asked] == [None, None, None, '"1"', None, None]
    assert "sig" not in Path(f"{objects.store}-state").read_text(encoding="utf-8")


@pytest.mark.parametrize("spoilt", [(" 768000", " 768001"), ('"sha256:', '"x#sha256:')])
def test_a_spoilt_pin_is_not_taken(spoilt: tuple[str, str], afar: Afar, objects: Objects) -> None:
    """A size that is not that of the bytes, or other words, would stand in the lock."""
    fetched(afar, objects)
    path = Path(f"{objects.store}-state")
    text = path.read_text(encoding="utf-8")
    assert spoilt[0] in text
    path.write_text(text.replace(*spoilt), encoding="utf-8")
    assert fetched(afar, objects) == pinned()


@pytest.mark.parametrize("known", ["", "[1]", "{", '{"%s": ["sha256:0 1", "W/\\"weak\\"", "0"]}', '{"%s": 7}'])
def test_marks_that_say_nothing(known: str, afar: Afar, objects: Objects) -> None:
    """A server that gives none, or weak ones, and a file of marks that somebody else wrote: the file comes."""
    Path(f"{objects.store}-state").write_text(known.replace("%s", f"{afar.url}/docs.jsonl"), encoding="utf-8")
    afar.etags = False
    assert fetched(afar, objects) == fetched(afar, objects) == pinned()
    assert not any("if-none-match" in headers for _, headers in afar.asked)
    afar.faults = [status(304)]  # nobody asked
    with pytest.raises(EmbspecError, match="304"):
        fetched(afar, objects)


def test_a_spoilt_object_is_fetched_anew(afar: Afar, objects: Objects) -> None:
    """Bytes that are not what their name says are no file that was fetched."""
    pin = fetched(afar, objects)
    path = Path(objects.path(pin.split(" ")[0]))
    path.chmod(0o644)
    path.write_bytes(b"other bytes")
    assert fetched(afar, Objects(objects.store), pin) == pin
    assert path.read_bytes() == DATA
    assert len(afar.asked) == 2


@pytest.mark.parametrize("now", [DATA[:-1], DATA + b"x", b"y" + DATA[1:]], ids=["shorter", "longer", "other"])
def test_a_file_that_moved_is_said_plainly(now: bytes, afar: Afar, objects: Objects) -> None:
    """The pin holds: both are named, and the way to take what is there now."""
    afar.files["/docs.jsonl"] = now
    error = refused(afar, objects, pinned())
    assert error.exit == NOWHERE
    text = str(error)
    assert "has changed" in text and pinned()[:19] in text and "embspec lock --upgrade corpus" in text


@pytest.mark.parametrize("etags", [True, False])
def test_a_broken_transfer_goes_on(etags: bool, afar: Afar, objects: Objects) -> None:
    """Where the server can say that it is the same file, from where it broke off; else from its beginning."""
    afar.etags = etags
    afar.faults = [faults.cut(afar, "/docs.jsonl", 300_000), faults.cut(afar, "/docs.jsonl", 500_000)]
    assert fetched(afar, objects) == pinned()
    ranges = [headers.get("range", "") for _, headers in afar.asked]
    assert ranges == (["", "bytes=300000-", "bytes=500000-"] if etags else ["", "", ""])


def test_another_file_is_never_glued_to_the_first(afar: Afar, objects: Objects) -> None:
    """A file that changes between two tries is fetched from its beginning."""
    other = DATA[::-1]

    def changes(request: Any) -> bool:
        faults.cut(afar, "/docs.jsonl", 300_000)(request)
        afar.files["/docs.jsonl"] = other
        return True

    afar.faults = [changes]
    assert fetched(afar, objects) == pinned(other)


def test_a_file_of_the_same_mark_is_not_glued_either(afar: Afar, objects: Objects) -> None:
    """Between two tries the address leads to another file, which its server calls by the same mark."""
    afar.files |= {"/v1": DATA, "/v2": DATA[::-1]}
    afar.mark = '"1"'
    afar.faults = [status(302, Location="/v1"), faults.cut(afar, "/v1", 300_000)]
    afar.faults += [status(302, Location="/v2"), lambda request: False] * 2
    assert fetched(afar, objects, path="/latest") == pinned(DATA[::-1])


def test_a_part_may_end_before_its_file(afar: Afar, objects: Objects) -> None:
    """A server that sends less than it was asked for is asked for the rest: half a file passes for no file."""
    afar.faults = [faults.cut(afar, "/docs.jsonl", 300_000), faults.part(DATA, 1000)]
    assert fetched(afar, objects) == pinned()
    assert [headers.get("range", "") for _, headers in afar.asked] == ["", "bytes=300000-", "bytes=301000-"]


@pytest.mark.parametrize("answer", [faults.part(DATA[::-1], 1 << 30, '"other"'), status(416)], ids=["other", "none"])
def test_a_part_of_another_file_is_not_taken(answer: Callable[[Any], bool], afar: Afar, objects: Objects) -> None:
    """Not every server heeds If-Range, and some have no such part any more: then all of it is fetched anew."""
    afar.faults = [faults.cut(afar, "/docs.jsonl", 300_000), answer]
    assert fetched(afar, objects) == pinned()
    assert "range" not in afar.asked[2][1]


def test_a_part_that_nobody_asked_for(afar: Afar, objects: Objects) -> None:
    """The first bytes of a file are not the file."""
    afar.faults = [faults.part(DATA, 10)]
    assert fetched(afar, objects) == pinned()


def test_a_transfer_that_never_ends_well_is_given_up(afar: Afar, objects: Objects) -> None:
    """Tries are counted; half a file is no file."""
    afar.etags = False
    afar.faults = [faults.cut(afar, "/docs.jsonl", 1000)] * 9
    error = refused(afar, objects)
    assert error.exit == UNREACHABLE
    assert "1000 of 768000 bytes" in str(error)
    assert len(afar.asked) == 5


def test_a_server_that_stumbles_is_asked_again(afar: Afar, objects: Objects) -> None:
    """Busy and broken for a moment is no answer."""
    afar.faults = [status(503), status(429), status(500)]
    assert fetched(afar, objects) == pinned()


def test_silence_has_an_end(afar: Afar, objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that says nothing is given up."""
    monkeypatch.setattr("embspec.store.transport.TIMEOUT", 0.05)
    monkeypatch.setattr("embspec.store.transport.TRIES", 2)
    import threading

    held = threading.Event()
    afar.faults = [lambda request: held.wait(5.0)] * 2
    error = refused(afar, objects)
    held.set()
    assert error.exit == UNREACHABLE
    assert "nothing came" in str(error)


def test_nobody_there(afar: Afar, objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is not there is exit 70, and says what was tried."""
    error = refused(afar, objects, path="http://127.0.0.1:9/docs.jsonl")
    assert error.exit == UNREACHABLE
    assert "could not be fetched in 5 tries: connection refused" in str(error)


@pytest.mark.parametrize(("code", "words"), [(404, "there is nothing"), (403, "credentials"), (418, "answered 418")])
def test_a_refusal_is_not_tried_again(code: int, words: str, afar: Afar, objects: Objects) -> None:
    """What a server refuses is an input that is wrong; where a pin is, its bytes are nowhere."""
    afar.faults = [status(code), status(code)]
    assert refused(afar, objects).exit == INVALID
    error = refused(afar, objects, pinned())
    assert error.exit == NOWHERE
    assert words in str(error)
    assert len(afar.asked) == 2


def test_a_length_that_nobody_says(afar: Afar, objects: Objects) -> None:
    """Whether it came whole only a pin can tell."""
    afar.faults = [faults.unsized(DATA)] * 2
    assert "does not say how long" in str(refused(afar, objects))
    assert fetched(afar, objects, pinned()) == pinned()


def test_a_file_without_end_fills_no_disk(afar: Afar, objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than there is room for is refused before it comes, and more than is pinned while it comes."""
    monkeypatch.setattr("embspec.store.remote.MOST", 1000)
    assert "room for 1000" in str(refused(afar, objects))
    afar.faults = [faults.unsized(DATA)] * 2
    assert "room for 1000" in str(refused(afar, objects, pinned()))
    assert "more than 10 bytes" in str(refused(afar, objects, pinned(DATA[:10])))


def test_compressed_bytes_are_not_the_file(afar: Afar, objects: Objects) -> None:
    """What was asked for as it is has to come so."""
    def packed(request: Any) -> bool:
        request.send_response(200)
        request.send_header("Content-Encoding", "gzip")
        request.send_header("Content-Length", "3")
        request.end_headers()
        request.wfile.write(b"abc")
        return True

    afar.faults = [packed]
    assert "compressed" in str(refused(afar, objects))


def test_redirects_are_followed_to_their_end(afar: Afar, objects: Objects) -> None:
    """A few of them; the file keeps its address."""
    afar.faults = [status(302, Location="/a?X-Amz-Signature=hush"), *[status(301, Location="/b")] * 3,
                   status(307, Location=afar.url + "/docs.jsonl")]
    assert fetched(afar, objects) == pinned()
    assert afar.paths == ["/docs.jsonl", "/a?X-Amz-Signature=hush", *["/b"] * 3, "/docs.jsonl"]


@pytest.mark.parametrize(("to", "words"), [
    ("http://data.example/x?sig=hush", "not encrypted"),
    ("file:///etc/passwd?sig=hush", "not encrypted"),
    ("/docs.jsonl?sig=hush", "more than 5 times"),
    ("https://127.0.0.1:99999999/x?sig=hush", "no address that can be read"),
    ("https://" + "\u00e4" * 70 + ".example/x?sig=hush", "no address that can be read"),
])
def test_redirects_that_are_not_followed(to: str, words: str, afar: Afar, objects: Objects) -> None:
    """In the open, into this machine's files, in a circle; and no signature is repeated."""
    afar.faults = [status(301, Location=to)] * 9
    error = refused(afar, objects)
    assert error.exit == INVALID
    assert words in str(error)
    assert "hush" not in str(error)


@pytest.fixture
def let_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A netrc file with a password for this machine and one for all others, which all lie here."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hunter2\ndefault login me password hunter3\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setattr("socket.getaddrinfo", lambda host, port, *rest, **more: [(2, 1, 6, "", ("127.0.0.1", port))])


def test_a_password_stays_with_its_host(afar: Afar, objects: Objects, let_in: None) -> None:
    """A netrc file lets in, and where another host takes over it is not told."""
    afar.faults = [status(302, Location=f"http://localhost:{afar.port}/docs.jsonl")]
    assert fetched(afar, objects) == pinned()
    assert [headers.get("authorization") for _, headers in afar.asked] == [netrc_word("me", "hunter2"), None]
    afar.faults = [status(401)]
    with pytest.raises(EmbspecError) as caught:
        fetched(afar, objects, path="/other.jsonl")
    assert "hunter2" not in str(caught.value)


def test_a_password_goes_along_within_its_server(afar: Afar, objects: Objects, let_in: None) -> None:
    """A redirect to another path of the same scheme, host and port lets in again; who was led away is a stranger."""
    word, away = netrc_word("me", "hunter2"), f"http://localhost:{afar.port}/b"
    afar.faults = [status(302, Location="/a"), status(307, Location=f"{afar.url}/docs.jsonl")]
    assert fetched(afar, objects) == pinned()
    assert [headers.get("authorization") for _, headers in afar.asked] == [word, word, word]
    afar.asked.clear()
    afar.faults = [status(302, Location=to) for to in ("/a", away, "/c", f"{afar.url}/docs.jsonl")]
    assert fetched(afar, objects) == pinned()
    assert [headers.get("authorization") for _, headers in afar.asked] == [word, word, None, None, None]


@pytest.mark.parametrize(("one", "other", "same"), [
    ("https://a.example/x", "https://A.example:443/y", True),
    ("https://a.example/x", "https://a.example:8443/x", False),
    ("https://a.example/x", "https://b.a.example/x", False),
    ("http://localhost/x", "https://localhost/x", False),
    ("http://localhost:443/x", "https://localhost/x", False),
])
def test_who_is_the_same_server(one: str, other: str, same: bool) -> None:
    """Scheme, host and port, however they are written."""
    assert (_origin(one) == _origin(other)) is same


def test_a_netrc_that_cannot_be_read(
    afar: Afar, objects: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said, and none of its words are."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machin 127.0.0.1 password hunter2\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    error = refused(afar, objects)
    assert error.exit == USAGE
    assert "hunter2" not in str(error)


def test_nothing_is_downloaded_where_that_was_said(afar: Afar, objects: Objects) -> None:
    """--no-fetch: what the store lacks is nowhere, and nobody is asked."""
    assert refused(afar, objects, pinned(), may_fetch=False).exit == NOWHERE
    assert refused(afar, objects, may_fetch=False).exit == NOWHERE
    assert afar.asked == []


def test_judgements_are_not_guessed(afar: Afar, objects: Objects) -> None:
    """Which of a BEIR folder's judgements is meant has to be said where no folder can be listed."""
    assert "qrels: test" in str(refused(afar, objects, path="/scifact/qrels/*.tsv"))
    assert afar.asked == []


@pytest.mark.parametrize("token", ["", "session/token=="])
@pytest.mark.parametrize("name", ["docs.jsonl", "ä folder/a+b=c~(1)!.md", "a%20b//c.txt"])
def test_s3_is_signed(
    token: str, name: str, afar: Afar, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that counts the signature out from what has come lets us in, whatever letters a key has."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    afar.files["/bucket/" + name] = DATA
    afar.faults = [faults.cut(afar, "/bucket/" + name, 300_000)]
    assert fetched(afar, objects, path=f"s3://bucket/{name}") == pinned()
    assert len(afar.asked) == 2  # the second with a range
    for path, headers in afar.asked:
        assert lets_in(path, headers)
        assert headers.get("x-amz-security-token", "") == token
        assert not lets_in(path + "x", headers)
        assert not lets_in(path, {**headers, "x-amz-date": "20010101T000000Z"})


def test_s3_without_a_key_is_what_anybody_may_read(afar: Afar, objects: Objects) -> None:
    """No key in the environment, no signature."""
    afar.files["/bucket/a.jsonl"] = DATA
    assert fetched(afar, objects, path="s3://bucket/a.jsonl") == pinned()
    assert "authorization" not in afar.asked[0][1]


def test_what_s3_refuses_holds_no_secret(
    afar: Afar, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the key, its secret, nor the page of the service, which repeats what was signed."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)

    def denied(request: Any) -> bool:
        page = f"<Error><Code>AccessDenied</Code><AWSAccessKeyId>{KEY}</AWSAccessKeyId></Error>".encode()
        request.send_response(403)
        request.send_header("Content-Length", str(len(page)))
        request.end_headers()
        request.wfile.write(page)
        return True

    afar.faults = [denied]
    text = str(refused(afar, objects, path="s3://bucket/a.jsonl"))
    assert "credentials" in text and "AWS_SECRET_ACCESS_KEY" in text
    assert KEY not in text and SECRET not in text
    assert KEY not in repr(s3._key({"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}))


def test_a_bucket_elsewhere_says_where(afar: Afar, objects: Objects) -> None:
    """The region that the service names is what to set; it is not followed with our signature."""
    afar.faults = [status(301, Location="http://127.0.0.1:1/", x_amz_bucket_region="eu-west-3")]
    assert "AWS_REGION=eu-west-3" in str(refused(afar, objects, path="s3://bucket/a.jsonl"))


@pytest.mark.parametrize("given", [
    {"AWS_ACCESS_KEY_ID": KEY}, {"AWS_SECRET_ACCESS_KEY": SECRET}, {"AWS_ENDPOINT_URL": "minio:9000"},
])
def test_half_a_key_is_said(
    given: dict[str, str], afar: Afar, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the environment has wrong is a word about the environment."""
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    error = refused(afar, objects, path="s3://bucket/a.jsonl")
    assert error.exit == USAGE
    assert KEY not in str(error) and SECRET not in str(error)


@pytest.mark.parametrize(("url", "given", "signature"), [
    ("https://examplebucket.s3.amazonaws.com/test.txt", {"Range": "bytes=0-9"},
     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
    ("https://examplebucket.s3.amazonaws.com/?lifecycle=", {},
     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
    ("https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J", {},
     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
])
def test_signatures_are_those_that_amazon_publishes(url: str, given: dict[str, str], signature: str) -> None:
    """The worked examples of the documentation of Signature Version 4 for S3."""
    key = s3.Key("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    sent = s3.signed("GET", url, given, key, "us-east-1", "20130524T000000Z")
    assert sent["Authorization"].endswith(f"Signature={signature}")


@pytest.mark.parametrize(("bucket", "endpoint", "url"), [
    ("docs", "", "https://docs.s3.eu-west-1.amazonaws.com/a%20b/c.md"),
    ("my.docs", "", "https://s3.eu-west-1.amazonaws.com/my.docs/a%20b/c.md"),
    ("docs", "http://minio:9000/", "http://minio:9000/docs/a%20b/c.md"),
])
def test_where_an_object_is_asked_for(bucket: str, endpoint: str, url: str) -> None:
    """At Amazon the bucket is a host, unless no certificate could have it; elsewhere it is a folder."""
    assert s3.url_of(bucket, "a b/c.md", "eu-west-1", endpoint) == url


@pytest.mark.parametrize(("text", "size"), [
    (pinned(), len(DATA)), ("https://h/x#" + pinned(), len(DATA)), ("", None), ("https://h/x", None),
    ("sha256:12 5", None), ("https://h/x#sha256:" + "0" * 64, None),
])
def test_a_pin_is_read_from_its_text(text: str, size: int | None) -> None:
    """Alone or behind its address; a hand's work is no pin."""
    found = pin_of(text)
    assert (found and found.size) == size
