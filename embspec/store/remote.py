"""Input files that lie elsewhere: fetched once into the store, held to their pin, and then not asked for again."""
from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from embspec.errors import EmbspecError, fail
from embspec.store.fetched import UNMARKED, Fetched, Known, Mark
from embspec.store.objects import Objects

if TYPE_CHECKING:
    from embspec.store.transport import Asked

MOST = 256 << 30
"""The most bytes of one file: a server that never ends must not fill the disk."""
_PIN = re.compile(r"sha256:([0-9a-f]{64}) (0|[1-9][0-9]*)")

Tell = Callable[[str, int, int], None]  # what is fetched, bytes so far, bytes in all (0: unknown)


class Pin(NamedTuple):
    """What is known of a file that was fetched."""

    sha256: str
    size: int

    @property
    def digest(self) -> str:
        """As the store names it."""
        return f"sha256:{self.sha256}"


class Wanted(NamedTuple):
    """One file that a stage reads from elsewhere: its address, its pin where it has one, and who asks."""

    address: str
    pin: str
    stage: str
    field: str
    may_fetch: bool = True


def pin_of(text: str) -> Pin | None:
    """The pin in a text, alone or behind an address; None where there is none."""
    found = _PIN.fullmatch(text.rpartition("#")[2])
    return Pin(found[1], int(found[2])) if found else None


def bring(wanted: Wanted, objects: Objects, tell: Tell, fetched: Fetched) -> str:
    """See that the bytes of an address are in the store, as they are pinned where they are; the pin.

    What is not pinned is asked for, and comes unless the server says that it is what came last.
    """
    pin = pin_of(wanted.pin)
    if pin and _here(pin, objects):
        return wanted.pin
    if not wanted.may_fetch:
        raise fail("nowhere.not-fetched", f"`{wanted.address}` is not in the store, and nothing may be downloaded",
                   fix="leave out --no-fetch, or set EMBSPEC_STORE to a store that has it", field=wanted.field)
    if "*" in wanted.address:
        raise fail("input.missing", "which judgements of this BEIR folder? At an address nothing can be looked for",
                   fix="say it: `qrels: test`", field=wanted.field)
    with objects.scratch() as folder:
        path = os.path.join(folder, "fetched")
        known = None if pin else _last(wanted, objects, fetched)
        mark = _fetch(wanted, pin, path, tell, known.mark if known else UNMARKED)
        if mark is None and known:
            return known.pin
        text = objects.adopt(path)
        if not pin:
            fetched.add(wanted.address, text, mark or UNMARKED)
        return text


def _last(wanted: Wanted, objects: Objects, fetched: Fetched) -> Known | None:
    """What came last from there, where the store still has it."""
    known = fetched.known(wanted.address)
    pin = pin_of(known.pin) if known else None
    whole = pin and known and known.pin == f"{pin.digest} {pin.size}"  # what will stand in the lock, word by word
    here = pin and whole and _here(pin, objects) and os.path.getsize(objects.path(pin.digest)) == pin.size
    return known if here else None


def _fetch(wanted: Wanted, pin: Pin | None, path: str, tell: Tell, mark: Mark) -> Mark | None:
    """Download what is there, of what is pinned nothing else; its mark, or None where it still has this one."""
    import shutil  # a build that fetches nothing does without

    from embspec.store.transport import REFUSED, Changed, Same, download

    room = min(MOST, shutil.disk_usage(os.path.dirname(path)).free)
    try:
        came = download(_asked(wanted), path, pin.size if pin else None, room, tell, mark)
    except Same:
        return None
    except Changed as changed:
        raise _moved(wanted, pin, str(changed)) from None
    except EmbspecError as error:
        problem = error.problems[0]
        if not pin or problem.code != REFUSED:
            raise
        raise fail("nowhere.remote", f"{problem.text}; and what the lock pins of it ({pin.digest[:19]}…) is not in the "
                   "store", fix=f"{problem.fix}, or set EMBSPEC_STORE to a store that has it", field=wanted.field
                   ) from None
    if pin and came.sha256 != pin.sha256:
        raise _moved(wanted, pin, f"sha256:{came.sha256[:12]}…")
    return came.mark


def _asked(wanted: Wanted) -> Asked:
    """How the file is asked for."""
    from embspec.store import s3, transport

    if wanted.address.startswith("s3://"):
        return s3.asked(wanted.address, wanted.field, os.environ)
    return transport.Asked(wanted.address, wanted.address, wanted.field, transport.from_netrc(os.environ))


def _here(pin: Pin, objects: Objects) -> bool:
    """Whether the store has them; bytes that are not what their name says are set aside, and fetched again."""
    if not objects.has(pin.digest):
        return False
    try:
        objects.verified(pin.digest)
    except EmbspecError as error:
        if error.problems[0].code != "corrupt.object":
            raise
        return False
    return True


def _moved(wanted: Wanted, pin: Pin | None, now: str) -> EmbspecError:
    then = f"sha256:{pin.sha256[:12]}…, {pin.size} bytes" if pin else "nothing"
    return fail("nowhere.moved", f"`{wanted.address}` has changed: the lock pins {then}, there is now {now}; and what "
                "is pinned is not in the store", field=wanted.field,
                fix=f"`embspec lock --upgrade {wanted.stage}`, then `embspec build`, takes what is there now; or set "
                "EMBSPEC_STORE to a store that has what is pinned")
