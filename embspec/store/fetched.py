"""What was fetched with no pin: by its mark a server can say that it is still the same, and nothing has to come."""
from __future__ import annotations

import json
import re
from typing import NamedTuple

from embspec.store.files import keep

_MARK = re.compile(r'"[!#-~]{1,200}"')  # one that says the very bytes, and that a request can repeat


class Mark(NamedTuple):
    """What a server calls the bytes of a file, and the place where it does: elsewhere others may be called the same."""

    etag: str
    place: str


UNMARKED = Mark("", "")


class Known(NamedTuple):
    """The pin of the bytes that came, and the mark that the server gave them."""

    pin: str
    mark: Mark


class Fetched:
    """By address, in a file of the state folder that only saves time: the bytes are in the store, if anywhere."""

    def __init__(self, path: str) -> None:
        self._path = path

    def known(self, address: str) -> Known | None:
        """What came last from there, if its server gave it a mark."""
        match self._rows().get(address):
            case [str(pin), str(etag), str(place)] if _MARK.fullmatch(etag):
                return Known(pin, Mark(etag, place))
        return None

    def add(self, address: str, pin: str, mark: Mark) -> None:
        """Remember what came; without a mark nobody can be asked."""
        rows = self._rows()
        rows.pop(address, None)
        if _MARK.fullmatch(mark.etag):
            rows[address] = [pin, *mark]
        keep(self._path, json.dumps(rows, sort_keys=True).encode())

    def _rows(self) -> dict[str, object]:
        try:
            with open(self._path, "rb") as file:
                rows = json.load(file)
        except (OSError, ValueError, RecursionError):
            return {}
        return rows if isinstance(rows, dict) else {}
