# `make demo` and `make test` do all they need from a fresh clone: Python, git, make and gcc are enough.
PYTHON ?= python3
BIN := .venv/bin
SHARED := $(wildcard ../shared/data)
export HF_HUB_OFFLINE := 1
export TOKENIZERS_PARALLELISM := false
export PIP_DISABLE_PIP_VERSION_CHECK := 1
ifneq ($(SHARED),)
export EMBSPEC_BENCH_DATA := $(abspath $(SHARED))
endif

.PHONY: env test demo lint bench schemas clean

env: .venv/ready

.venv/ready: requirements/run.txt requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -r requirements/run.txt -r requirements/dev.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

test: env
	$(BIN)/pytest

demo: env
	$(BIN)/embspec build specs/handbook.yaml
	$(BIN)/embspec status specs/handbook.yaml

lint: env
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: env
	$(BIN)/python benchmarks/noop.py

schemas: env
	for name in spec lock report output; do $(BIN)/embspec schema $$name > schemas/$$name.schema.json; done

clean:
	rm -rf .venv benchmarks/.venv .embspec out build *.egg-info
