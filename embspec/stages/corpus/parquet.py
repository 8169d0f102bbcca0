"""Parquet: rows, a few at a time."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from embspec.stages.corpus.documents import Fields, Source, plain
from embspec.stages.corpus.parsers import load, on_disk, parsing
from embspec.stages.reading import Problems, Row, lacks_field

BATCH = 256  # rows at a time


def rows(source: Source, fields: Fields, problems: Problems) -> Iterator[Row]:
    """Rows with the columns that are used; their place is the row's number from 1."""
    parquet = load("pyarrow.parquet", "pyarrow", source.where, problems)
    if parquet is None:
        return
    number = 0
    with (
        on_disk(source) as path, parsing("Parquet", source.where, problems, "write it anew"),
        # Neither threads nor whole row groups in memory.
        closing(parquet.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)) as file,
    ):
        columns = _columns(file.schema_arrow.names, fields, source, problems)
        for batch in file.iter_batches(BATCH, columns=columns, use_threads=False) if columns else ():
            for values in batch.to_pylist():
                number += 1
                row = {name: _value(value) for name, value in values.items()}
                yield Row(source.where._replace(line=number), row)


def _columns(there: list[str], fields: Fields, source: Source, problems: Problems) -> list[str]:
    """Those to read; none where one that is needed is not there, which is noted."""
    fields.meet(dict.fromkeys(there))
    lacking = [names for names in (fields.id, fields.text) if not any(name in there for name in names)]
    for names in lacking:
        lacks_field(names, there, source.where, problems, "column")
    twice = sorted({name for name in there if there.count(name) > 1})
    for name in twice:
        problems.add("input.header", f"two columns are called {name!r}", source.where, "rename one of them")
    used = {*fields.id, *fields.text, *fields.title, *fields.document, *fields.metadata}
    if fields.metadata:
        used.add("metadata")
    return [] if lacking or twice else [name for name in there if name in used]


def _value(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    return plain(value)
