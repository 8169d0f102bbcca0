"""The public data sets that some benchmarks and tests measure on, and where anybody gets them."""
from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class DataSet(NamedTuple):
    """One folder below $EMBSPEC_BENCH_DATA, in BEIR form: corpus.jsonl, queries.jsonl, qrels/*.tsv."""

    what: str
    origin: str
    made: str
    licence: str


DATA_SETS: dict[str, DataSet] = {
    "scifact": DataSet(
        "SciFact: 5,183 abstracts, 809 train and 300 test claims, as in BEIR",
        "https://github.com/allenai/scifact, or `scifact` of https://github.com/beir-cellar/beir",
        "text is the abstract's sentences joined by one space; train.tsv and dev.tsv together are BEIR's train.tsv; "
        "test_disjoint.tsv holds the test claims none of whose abstracts is a positive of another split",
        "claims and evidence CC BY 4.0, abstracts ODC-By 1.0",
    ),
    "medquad_small": DataSet(
        "MedQuAD: consumer health questions and answers of the NIH",
        "https://github.com/abachaa/MedQuAD at 577bd37b96c02d1833b2c9eed2de9f96964e96cb",
        "30 % of the topics, by hash of the focus; equal answers and equal questions merged; no topic in two splits",
        "CC BY 4.0",
    ),
    "azdocs_small": DataSet(
        "Azure documentation: sections, with the FAQ's questions as test queries",
        "https://github.com/MicrosoftDocs/azure-aks-docs at fb060abe6a8fef960d4c487b543bf7b1e97808fe and "
        "https://github.com/MicrosoftDocs/azure-security-docs at 1c4310bed2b90b37d9500bd26dc00a314becfa9f",
        "security articles, 25 % of the AKS files and all FAQ files; cut at headings, then at 1,600 characters",
        "CC BY 4.0, code samples MIT",
    ),
    "azdocs_mini": DataSet(
        "Azure Key Vault documentation and all security FAQs, with the untouched Markdown in raw/",
        "as azdocs_small",
        "as azdocs_small, Key Vault articles and FAQ files only",
        "CC BY 4.0, code samples MIT",
    ),
}


def folder(name: str) -> Path:
    """The folder of a data set; leaves with a sentence where it is not there."""
    base = os.environ.get("EMBSPEC_BENCH_DATA", "")
    found = Path(base, name)
    if not base or not found.is_dir():
        seen = f"`{found}` is not there" if base else "EMBSPEC_BENCH_DATA is not set"
        raise SystemExit(f"{seen}; {DATA_SETS[name].what}: {DATA_SETS[name].origin}")
    return found


def main() -> None:
    """Say which data sets are at hand, and where the others come from."""
    base = os.environ.get("EMBSPEC_BENCH_DATA", "")
    for name, data in DATA_SETS.items():
        print(f"{name}: {'at hand' if base and Path(base, name).is_dir() else 'not at hand'}")
        print(f"  {data.what}\n  from    {data.origin}\n  made    {data.made}\n  licence {data.licence}")


if __name__ == "__main__":
    main()
