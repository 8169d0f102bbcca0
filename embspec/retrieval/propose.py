"""Products in float32, on the processor or a GPU: they only propose, so that where they were made is never seen."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from embspec.errors import fail

Vectors = NDArray[np.float32]
Numbers = NDArray[np.int64]

CPU, CUDA = DEVICES = ("cpu", "cuda")
FEWEST = 64  # documents at once: a GPU without room for their products is of no use
_ROWS = 64  # of products in which the highest are looked for at once


class Place(NamedTuple):
    """Where a search is done, which cannot be seen in what it finds."""

    device: str = CPU
    threads: int = 1


HERE = Place()


class Pairs(NamedTuple):
    """Queries and documents that may belong together, and the product in float32 of each pair; in any order."""

    query: Numbers
    column: Numbers
    score: Vectors


class Device(Protocol):
    """Where products are made: every method may be called from several threads."""

    def exact(self) -> AbstractContextManager[None]:
        """Inside, a product of float32 is one."""

    def full(self) -> tuple[type[Exception], ...]:
        """What is raised where the device has no room."""

    def put(self, vectors: Vectors) -> Any:
        """Rows as the device has them."""

    def products(self, queries: Any, documents: Any) -> Any:
        """Each query's with each document."""

    def highest(self, products: Any, k: int) -> Vectors:
        """The k-th highest product of each query."""

    def over(self, products: Any, least: Vectors, most: int | None) -> Pairs | None:
        """All pairs that reach their query's least product; nothing where they are more than so many."""

    def free(self, products: Any) -> None:
        """The products are not needed any more."""


def device(name: str) -> Device:
    """A device by its name; whoever asks decides, and nothing else is taken in its place."""
    if name not in DEVICES:
        raise ValueError(f"no device is called {name}")
    if name == CPU:
        return Processor()
    import torch

    if not torch.cuda.is_available():
        raise ValueError("torch sees no GPU here")
    return Gpu(name)


class Processor:
    """Numpy's products, in memory that is used again: as fast as torch's, which takes seconds to import."""

    def __init__(self) -> None:
        self._spare: SimpleQueue[tuple[Vectors, NDArray[np.bool_]]] = SimpleQueue()

    def exact(self) -> AbstractContextManager[None]:
        """They are never less."""
        return nullcontext()

    def full(self) -> tuple[type[Exception], ...]:
        """There is no room but the process's own."""
        return ()

    def put(self, vectors: Vectors) -> Any:
        """The same memory."""
        return vectors

    def products(self, queries: Any, documents: Any) -> Any:
        """In memory of an earlier product where that is large enough."""
        shape, size = (len(queries), len(documents)), len(queries) * len(documents)
        room = self._room(size)
        np.matmul(queries, documents.T, out=room[0][:size].reshape(shape))
        return room, shape

    def highest(self, products: Any, k: int) -> Vectors:
        """Some queries at a time: the products are looked at in an order of their own."""
        (room, _), shape = products
        rows, least = room[: shape[0] * shape[1]].reshape(shape), shape[1] - k
        found = [np.partition(rows[start : start + _ROWS], least, axis=1)[:, least]
                 for start in range(0, shape[0], _ROWS)]
        return np.concatenate(found)

    def over(self, products: Any, least: Vectors, most: int | None) -> Pairs | None:
        """In the order of queries and documents."""
        (room, marks), shape = products
        size = shape[0] * shape[1]
        flat = room[:size]
        np.greater_equal(flat.reshape(shape), least[:, None], out=marks[:size].reshape(shape))
        if most is not None and np.count_nonzero(marks[:size]) > most:
            return None
        at = np.flatnonzero(marks[:size])
        query, column = np.divmod(at, shape[1])
        return Pairs(query, column, flat[at])

    def free(self, products: Any) -> None:
        """The next product takes the memory."""
        self._spare.put(products[0])

    def _room(self, size: int) -> tuple[Vectors, NDArray[np.bool_]]:
        with suppress(Empty):
            room = self._spare.get_nowait()
            if len(room[1]) >= size:
                return room
        return np.empty(size, np.float32), np.empty(size, np.bool_)


class Gpu:
    """All that is large stays on the device: what comes back are the few pairs that count."""

    def __init__(self, name: str) -> None:
        self._name = name

    def exact(self) -> AbstractContextManager[None]:
        """Whatever this process was told."""
        return exact()

    def full(self) -> tuple[type[Exception], ...]:
        """Torch's own."""
        import torch

        return (torch.cuda.OutOfMemoryError,)

    def put(self, vectors: Vectors) -> Any:
        """A copy on the device."""
        import torch

        return torch.from_numpy(vectors).to(self._name)

    def products(self, queries: Any, documents: Any) -> Any:
        """One matrix."""
        return queries @ documents.T

    def highest(self, products: Any, k: int) -> Vectors:
        """A few numbers come back."""
        import torch

        found: Vectors = torch.topk(products, k, dim=1, sorted=False).values.amin(dim=1).cpu().numpy()
        return found

    def over(self, products: Any, least: Vectors, most: int | None) -> Pairs | None:
        """The pairs come back."""
        import torch

        marks = products >= torch.from_numpy(least).to(self._name)[:, None]
        if most is not None and int(torch.count_nonzero(marks)) > most:
            return None
        query, column = torch.nonzero(marks, as_tuple=True)
        score = products[query, column]
        return Pairs(query.cpu().numpy(), column.cpu().numpy(), score.cpu().numpy())

    def free(self, products: Any) -> None:
        """Torch keeps the memory for the next."""


@contextmanager
def exact() -> Iterator[None]:
    """Inside, a product of float32 is one: no TF32, no bfloat16, whatever this process was told; after, as before."""
    import torch

    backends: Any = torch.backends  # whose types do not say what is new
    parts: list[Any] = [getattr(backend, "matmul", None) for backend in (backends.cuda, backends.mkldnn)]
    if all(hasattr(part, "fp32_precision") for part in parts):
        kept: list[tuple[Any, str]] = [(part, part.fp32_precision) for part in parts]
        try:
            for part in parts:
                part.fp32_precision = "ieee"
            yield
        finally:
            for part, before in kept:
                part.fp32_precision = before
    else:  # torch before 2.9
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)


def in_halves(work: Callable[[slice], None], part: slice, full: tuple[type[Exception], ...]) -> None:
    """Do some work on these documents; where a device's memory is full, on half of them and then on the others.

    The work may not have changed anything when it fails so.
    """
    try:
        work(part)
    except full as error:
        if part.stop - part.start <= FEWEST:
            raise fail("stage.gpu-full", f"the GPU has no room for the products of {part.stop - part.start} documents",
                       fix="wait until no other program fills it, or write `numerics: {device: cpu}`") from error
        half = (part.start + part.stop) // 2
    else:
        return
    in_halves(work, slice(part.start, half), full)  # not while the error holds what it was about
    in_halves(work, slice(half, part.stop), full)
