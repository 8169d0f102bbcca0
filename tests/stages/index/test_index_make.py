"""The index: what lies where, what an edit moves, and what a service is told."""
from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from embspec.errors import EmbspecError
from embspec.retrieval import knn, quantize
from embspec.serve.guard import guard
from embspec.serve.manifest import manifest, model_digest
from embspec.stages import encoder
from embspec.stages.index.make import RECIPE
from embspec.stages.index.shards import Shards, shard_of, shards_of
from embspec.stages.street import STREET
from tests.support.desk import Bank, Desk
from tests.support.shipping import NONE, IndexBench, documents
from tests.support.tiny import tiny_static, tiny_transformer


class Row(NamedTuple):
    """A row of an index beside its vector."""

    id: str
    row: Mapping[str, Any]
    vector: Any


def stored(bench: IndexBench, out: str = "out") -> list[Row]:
    """All rows with their vectors, in the order of the manifest's files."""
    rows = []
    files = [shard["file"] for shard in bench.json("manifest.json", out)["shards"]]
    for file in [name for name in files if name.startswith("rows/")]:
        number = Path(file).stem
        lines = bench.files(out)[file].decode().split("\n")[:-1]
        vectors = load_file(bench.folder / out / "index" / "vectors" / f"{number}.safetensors")["vectors"]
        assert len(lines) == len(vectors)
        rows += [Row(json.loads(line)["id"], json.loads(line), v) for line, v in zip(lines, vectors, strict=True)]
    return rows


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> tuple[IndexBench, Bank]:
    """An index of two shards, and the bank it left."""
    bench, bank = IndexBench(tmp_path_factory.mktemp("big"), documents(3 * 4096)), Bank()
    made = bench.make(bank=bank)
    assert made.counts == {"encoded": 3 * 4096, "rows": 3 * 4096}
    assert made.stat == {"rows": 3 * 4096, "shards": 2, "dim": 64, "precision": "float32"}
    return bench, bank


def test_every_document_is_there_once(big: tuple[IndexBench, Bank]) -> None:
    """Rows are the corpus' own, and each lies in the shard of its id, in the order of ids."""
    bench, _ = big
    found = stored(bench)
    assert sorted((row.row for row in found), key=lambda row: str(row["id"])) == documents(3 * 4096)
    shards = [xxhash.xxh3_64_intdigest(row.id.encode()) % 2 for row in found]
    assert [(s, row.id) for s, row in zip(shards, found, strict=True)] == sorted(
        (s, row.id) for s, row in zip(shards, found, strict=True)
    )


def test_vectors_are_the_encoders(tmp_path: Path) -> None:
    """Beside each row lies the vector of its title and text under the document prompt, at length 1."""
    bench = IndexBench(tmp_path, documents(50))
    bench.make()
    found = stored(bench)
    model = encoder.opened(bench.model, "model", Desk(tmp_path / "other"))
    texts = [f"{row.row['title']} {row.row['text']}" for row in found]
    wanted = knn.unit(model.documents(texts))
    assert np.array_equal(np.stack([row.vector for row in found]), wanted)
    assert np.allclose(np.linalg.norm(wanted, axis=1), 1)


def test_the_manifest_says_what_is_there(big: tuple[IndexBench, Bank]) -> None:
    """Model, corpus and every file with its digest: all that a check needs."""
    bench, _ = big
    found, files = bench.json("manifest.json"), bench.files()
    assert list(found) == ["model", "corpus", "recipe", "prompts", "dim", "precision", "count", "shards", "reindex"]
    assert {s["file"]: s["sha256"] for s in found["shards"]} == {
        name: hashlib.sha256(data).hexdigest() for name, data in files.items() if "/" in name
    }
    assert found["model"] == model_digest(str(bench.model))
    assert found["corpus"] == f"sha256:{hashlib.sha256((bench.folder / 'documents.jsonl').read_bytes()).hexdigest()}"
    assert found["count"] == 3 * 4096 == sum(s["rows"] for s in found["shards"]) / 2
    assert set(files) - {s["file"] for s in found["shards"]} == {"manifest.json", "retrieval.json"}
    assert manifest(str(bench.folder / "out" / "index")).rows == 3 * 4096


def test_an_edit_encodes_one_text_and_moves_one_shard(big: tuple[IndexBench, Bank]) -> None:
    """One changed document: one text, one file of vectors and one of rows, the bytes of a build from nothing."""
    bench, bank = big
    before = bench.files()
    bench.corpus([d | {"text": "a new text about the pump"} if d["id"] == "d00007" else d for d in documents(3 * 4096)])
    made = bench.make("warm", bank)
    bench.make("cold")
    warm, number = bench.files("warm"), shard_of("d00007", 2)
    assert made.counts["encoded"] == 1
    assert {name for name in warm if warm[name] != before[name]} == {
        f"vectors/{number:03d}.safetensors", f"rows/{number:03d}.jsonl", "manifest.json"
    }
    assert warm == bench.files("cold")
    assert bench.json("manifest.json", "warm")["reindex"] == bench.json("manifest.json")["reindex"]


def test_metadata_alone_encode_nothing(tmp_path: Path) -> None:
    """What is not in title or text moves the row and no vector."""
    bench, bank = IndexBench(tmp_path, documents(20)), Bank()
    bench.make(bank=bank)
    bench.corpus([d | {"metadata": {"number": -1}} if d["id"] == "d00007" else d for d in documents(20)])
    assert bench.make("warm", bank).counts["encoded"] == 0
    then, now = bench.files(), bench.files("warm")
    assert {name for name in now if now[name] != then[name]} == {"rows/000.jsonl", "manifest.json"}


@pytest.mark.parametrize("dim", [64, 24, 20])
@pytest.mark.parametrize("precision", ["float32", "int8", "binary"])
def test_what_was_chosen_is_stored(tmp_path: Path, dim: int, precision: str) -> None:
    """Vectors are cut, brought back to length 1 and stored as chosen; scored again they are what was measured."""
    bench = IndexBench(tmp_path, documents(30))
    bench.choose(dim, precision)
    made = bench.make()
    assert (made.stat["dim"], made.stat["precision"]) == (dim, precision)
    numbers = np.stack([row.vector for row in stored(bench)])
    model = encoder.opened(bench.model, "model", Desk(tmp_path / "other"))
    texts = [f"{row.row['title']} {row.row['text']}" for row in stored(bench)]
    vectors = knn.cut(model.documents(texts), dim, "cosine")
    ranges = bench.json("retrieval.json")["ranges"]
    if precision == "float32":
        again = numbers
        assert numbers.dtype == np.float32 and ranges is None
    elif precision == "int8":
        low, high = (np.array(ranges[side], np.float32) for side in ("low", "high"))
        assert numbers.dtype == np.int8
        again = quantize.from_int8(numbers, low, high)
    else:
        assert numbers.dtype == np.uint8 and numbers.shape == (30, -(-dim // 8)) and ranges is None
        again = quantize.from_binary(numbers, dim)
    measured = (np.full(dim, -0.1, np.float32), np.full(dim, 0.2, np.float32))
    assert np.array_equal(again, quantize.served(vectors, precision, measured))


def test_a_service_is_told_what_was_gated(tmp_path: Path) -> None:
    """Everything that scoring takes lies beside the vectors; words only where they are part of it."""
    bench = IndexBench(tmp_path, documents(3))
    bench.make()
    plain = bench.json("retrieval.json")
    assert plain == {"similarity": "cosine", "dim": 64, "precision": "float32", "ranges": None,
                     "prompts": {"query": "", "document": ""}, "max_seq_length": None, "fusion": NONE, "bm25": None,
                     "depth": 100}
    bench.choose(fusion={"method": "rrf", "k": 60})
    bench.make("hybrid")
    mixed = bench.json("retrieval.json", "hybrid")
    assert mixed == plain | {"fusion": {"method": "rrf", "k": 60},
                             "bm25": {"tokenizer": "words", "language": "english", "stem": True, "k1": 1.2, "b": 0.75}}
    assert bench.json("manifest.json", "hybrid")["reindex"] == bench.json("manifest.json")["reindex"]


def test_another_model_or_precision_moves_every_vector(tmp_path: Path) -> None:
    """`reindex` is other where a shard with the same digest would not mean the same vectors."""
    bench = IndexBench(tmp_path, documents(3))
    bench.make()
    bench.choose(precision="int8")
    bench.make("int8")
    bench.choose()
    tiny_static(bench.model, seed=1)
    bench.make("other")
    assert len({bench.json("manifest.json", out)["reindex"] for out in ("out", "int8", "other")}) == 3


def test_the_guard_knows_its_model(tmp_path: Path) -> None:
    """What the stage wrote is opened with its model and refused with any other."""
    bench = IndexBench(tmp_path, documents(3))
    bench.make()
    assert guard(tmp_path / "out" / "index", bench.model).retrieval == bench.json("retrieval.json")
    other = tiny_static(tmp_path / "other", seed=1)
    with pytest.raises(EmbspecError, match="another model"):
        guard(tmp_path / "out" / "index", other)


def test_a_transformer_is_indexed_the_same_way(tmp_path: Path) -> None:
    """Texts that the model cuts short are documents like others."""
    long = "the pump and the valve " * 50
    more: list[dict[str, Any]] = [{"id": "long", "title": "", "text": long, "document": None, "metadata": {}}]
    bench = IndexBench(tmp_path, documents(20) + more, tiny_transformer(tmp_path / "bert"))
    bench.choose(dim=32)
    assert bench.make().counts == {"encoded": 21, "rows": 21}
    assert bench.json("retrieval.json")["max_seq_length"] == 64
    assert all(np.isclose(np.linalg.norm(row.vector), 1) for row in stored(bench))


def test_needs_are_only_read(tmp_path: Path) -> None:
    """Artefacts handed over read-only are enough."""
    bench = IndexBench(tmp_path, documents(3))
    for path in (p for p in bench.folder.rglob("*") if p.is_file()):
        path.chmod(0o444)
    bench.make()
    assert len(stored(bench)) == 3


def test_another_process_writes_the_same_bytes_without_torch(tmp_path: Path) -> None:
    """Hash seeds reach no byte, and a static model is indexed by a process that has no torch."""
    bench = IndexBench(tmp_path, documents(100))
    bench.make()
    code = (
        "import sys; from pathlib import Path\n"
        "from tests.support.shipping import IndexBench, documents\n"
        "assert 'torch' not in sys.modules\n"
        "IndexBench(Path(sys.argv[1]), documents(100), Path(sys.argv[1]) / 'model').make('again')\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules, 'torch was imported'\n"
    )
    env = {**os.environ, "PYTHONHASHSEED": "123", "PYTHONPATH": str(Path(__file__).parents[3])}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, env=env, cwd=tmp_path)
    assert bench.files("again") == bench.files()


def test_the_recipe_is_the_stages() -> None:
    """A manifest names the recipe that the street declares."""
    assert next(stage.recipe for stage in STREET if stage.name == "index") == RECIPE


@given(st.integers(1, 10_000_000))
def test_the_number_of_shards_is_the_nearest_power_of_two(rows: int) -> None:
    """No other power of two is nearer to a shard for each 4,096 rows."""
    count = shards_of(rows)
    assert count == min((2**n for n in range(24)), key=lambda power: (abs(power - rows / 4096), power))


@pytest.mark.parametrize(("rows", "count"), [(1, 1), (6144, 1), (6145, 2), (12288, 2), (12289, 4), (1_000_000, 256)])
def test_where_the_number_of_shards_turns(rows: int, count: int) -> None:
    """The borders lie between two powers; a tie goes to the smaller."""
    assert shards_of(rows) == count


@given(ids=st.sets(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=40),
       count=st.sampled_from([1, 2, 8]))
def test_shards_hold_every_id_once(ids: set[str], count: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever the ids and the order of the file: each row lies in the shard of its id, by id."""
    path = tmp_path_factory.mktemp("ids") / "documents.jsonl"
    rows = [{"id": id, "title": None, "text": f"text of {id}"} for id in ids]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    shards = Shards(path, count)
    found = list(shards)
    assert shards.rows == len(ids) and len(found) == count
    assert [[row.document.id for row in shard] for shard in found] == [
        sorted(id for id in ids if shard_of(id, count) == number) for number in range(count)
    ]
    kept = [row.document for shard in found for row in shard]
    assert all(document.text == f"text of {document.id}" and document.title == "" for document in kept)
