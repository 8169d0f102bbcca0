"""Every reader of pairs over spoilt files: pairs, or a clear error; never a traceback."""
from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from embspec.errors import EmbspecError
from embspec.stages.pairs.make import make
from tests.support.trees import MemoryTree, run

GOLDEN = Path(__file__).parents[2] / "golden" / "pairs"
FILES = sorted(path for path in GOLDEN.rglob("*") if path.is_file() and "expected" not in path.name
               and path.parent != GOLDEN)
BYTES = (
    *(b"\x00", b"\xff", b"\xef\xbb\xbf", b'"', b"\n", b"\t", b"{", b"}", b"[", b",", b"\\ud83d", b": ", b"- "),
    *(b"&a *a", b"#", b"1e999", b"NaN", b"\r\n", b"```\n", b"---\n", b"? "),
    *("日".encode(), b"!!python/object:os.system x"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, -1, 1.5, 10**400, "", " ", "kb-1", "guide.md", "guide.md#5-900000", "x" * 5000, "\ud83d", "\x00"),
    *([], [[]], [None], {}, {"document": "guide.md", "start": 3, "end": 7}, {"id": {}}, {"a": [1, {"b": 2}]}),
    *(["kb-1", "kb-1"], [{"docid": 1, "text": 2}], "28 days of vacation"),
)
TURNS = 60  # of each file
NAMES = ("positive", "quote", "span", "grade", "positives", "role", "filter")
MAPPED = {"pairs.fields.query": "ticket.subject", "pairs.fields.quote": "turns.0.said"}


def spoilt(data: bytes, rng: random.Random) -> bytes:
    """Bytes with some of them cut out, doubled, or put in."""
    for _ in range(rng.randint(1, 4)):
        at, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        end = min(end, at + 40)
        data = rng.choice((data[:at] + data[end:], data[:at] + rng.choice(BYTES) + data[at:],
                           data[:end] + data[at:], data[:at], data[:at] + rng.choice(BYTES) + data[end:]))
    return data


def bent(value: Any, rng: random.Random) -> Any:
    """A JSON value with one of its parts made another."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(sorted(value))
        odd = rng.random()
        if odd > 0.3:
            return {**value, key: bent(value[key], rng)}
        rest = {k: v for k, v in value.items() if k != key}
        return rest if odd < 0.15 else {**rest, rng.choice(NAMES): rng.choice(VALUES)}
    if isinstance(value, list) and value and rng.random() < 0.7:
        at = rng.randrange(len(value))
        return [*value[:at], bent(value[at], rng), *value[at + 1 :]]
    return rng.choice(VALUES)


def bent_file(data: bytes, ending: str, rng: random.Random) -> bytes:
    """A JSON file, or one line of a jsonl file, with one of its parts made another."""
    if ending == ".json":
        return json.dumps(bent(json.loads(data), rng)).encode()
    lines = data.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    lines[at] = json.dumps(bent(json.loads(lines[at]), rng)).encode() + b"\n"
    return b"".join(lines)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_spoilt_files_give_clear_errors(path: Path, tmp_path: Path) -> None:
    """Whatever became of a file, the stage ends with pairs or with problems that say what and where."""
    rng = random.Random(str(path.relative_to(GOLDEN)))
    folder = next(parent for parent in path.parents if parent.parent == GOLDEN)
    others = {each.relative_to(GOLDEN).as_posix(): each.read_bytes() for each in FILES if folder in each.parents}
    name, ended = path.relative_to(GOLDEN).as_posix(), {"pairs": 0, "error": 0}
    mapped = folder.name in ("tickets", "transcripts")
    form = "embspec" if mapped else "faq" if folder.name.startswith("faq") else folder.name
    params = {"name": "gold", "pairs.path": "**/*", "pairs.from": None, "pairs.qrels": None}
    params |= MAPPED if mapped else {}
    params |= {"pairs.path": "beir", "pairs.qrels": "test"} if form == "beir" else {}
    for turn in range(TURNS):
        data = path.read_bytes()
        shaped = path.suffix in (".json", ".jsonl") and turn % 2
        tree = MemoryTree({**others, name: bent_file(data, path.suffix, rng) if shaped else spoilt(data, rng)})
        needs = {"live": tree, "snapshot/documents.jsonl": GOLDEN / "documents.jsonl"}
        try:
            run(make, tmp_path, {**params, "pairs.format": rng.choice(("auto", form))}, needs)
            ended["pairs"] += 1
        except EmbspecError as error:
            ended["error"] += 1
            assert all(each.code.startswith("input.") and each.text for each in error.problems)
            assert all(each.where or each.field or each.code == "input.more" for each in error.problems)
            str(error).encode()
    assert ended["error"] > TURNS // 10
