"""The snapshot with its texts on disk: memory holds ids, places and digests."""
from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import IO, Any

import xxhash

from embspec.retrieval.duplicates import near_groups
from embspec.stages.lazily import Texts
from embspec.stages.reading import canonical
from embspec.stages.snapshot import Document, loaded, normalise, passage

KEPT = 1 << 23  # characters of rows in memory


class Library:
    """Documents by their position in the file; a text is read when it is asked for."""

    def __init__(self, file: IO[bytes], questions: Collection[str]) -> None:
        self._file = file
        self.ids: list[str] = []
        self.echoes: dict[str, list[int]] = {}  # a question -> documents that only repeat it
        self._places, self._digests = array("q"), array("Q")
        self._parents: dict[int, str] = {}
        self._shown: dict[int, str] = {}  # some of those that were asked for: most are asked for often
        self._size = 0
        most = max((question.count(" ") + 1 for question in questions), default=0)
        offset = 0
        for line in self._file:
            row = loaded(line)
            at = len(self.ids)
            self.ids.append(row["id"])
            self._places.append(offset)
            self._digests.append(xxhash.xxh3_64_intdigest(passage(Document.of(row)).encode("utf-8", "surrogatepass")))
            if row.get("document"):
                self._parents[at] = row["document"]
            # More words than any question has are none, and no form of Unicode has fewer: most texts are not looked at
            # to their end.
            words = row["text"].split(None, most)
            if len(words) <= most and (plain := normalise(" ".join(words))) in questions:
                self.echoes.setdefault(plain, []).append(at)
            offset += len(line)
        self.at: Mapping[str, int] = {id: at for at, id in enumerate(self.ids)}
        # Draws go by this order, so that the order of lines in the file decides nothing.
        self.ordered: Sequence[int] = sorted(range(len(self.ids)), key=self.ids.__getitem__)

    def __len__(self) -> int:
        return len(self.ids)

    def owner(self, at: int) -> str:
        """The document that a chunk belongs to, or the document itself."""
        return self._parents.get(at) or self.ids[at]

    def digest(self, at: int) -> int:
        """A number for what the model reads of a document: equal for copies."""
        return self._digests[at]

    def text(self, at: int) -> str:
        """The text without its title."""
        return str(self._row(at)["text"])

    def passage(self, at: int) -> str:
        """What the model reads of a document."""
        return passage(Document.of(self._row(at)))

    def shown(self, at: int) -> str:
        """Id and passage as examples have them: a JSON object without its last bracket."""
        if at not in self._shown:
            if self._size > KEPT:
                self._shown, self._size = {}, 0
            self._shown[at] = canonical({"id": self.ids[at], "text": self.passage(at)})[:-1]
            self._size += len(self._shown[at])
        return self._shown[at]

    def passages(self) -> Iterator[str]:
        """What the model reads of every document, one at a time."""
        self._file.seek(0)
        for line in self._file:
            yield passage(Document.of(loaded(line)))

    def copies(self, wanted: Collection[int]) -> dict[int, list[int]]:
        """For each document asked for, all that the model could not tell from it, itself included."""
        groups: dict[int, list[int]] = {self._digests[at]: [] for at in wanted}
        for at, digest in enumerate(self._digests):
            if digest in groups:
                groups[digest].append(at)
        return {at: groups[self._digests[at]] for at in wanted}

    def families(self, owners: Collection[str]) -> Iterator[int]:
        """Every document that belongs to one of these."""
        return (at for at in range(len(self.ids)) if self.owner(at) in owners)

    def _row(self, at: int) -> Mapping[str, Any]:
        self._file.seek(self._places[at])
        row: Mapping[str, Any] = loaded(self._file.readline())
        return row


class Alike:
    """Which of some documents are near-duplicates of which."""

    def __init__(self, library: Library, some: Collection[int], threshold: float) -> None:
        chosen = sorted(some)
        texts = Texts(len(chosen), lambda place: library.text(chosen[place]))
        found = near_groups(texts, threshold) if chosen else None
        self._members: dict[int, list[int]] = {}
        self._head: dict[int, int] = {}
        self._linked: dict[int, list[int]] = {}
        for copies in found.copies if found else ():
            head = chosen[copies[0]]
            self._members[head] = [chosen[one] for one in copies]
            self._head.update(dict.fromkeys(self._members[head], head))
        for one, other, _ in found.links if found else ():
            self._linked.setdefault(chosen[one], []).append(chosen[other])
            self._linked.setdefault(chosen[other], []).append(chosen[one])

    def to(self, at: int) -> Iterator[int]:
        """The near-duplicates of a document, itself among them."""
        if at in self._head:
            head = self._head[at]
            for group in (head, *self._linked.get(head, ())):
                yield from self._members[group]
