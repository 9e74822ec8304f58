# `make compose` and `make test` need nothing but Python 3.11 (or newer) and make; everything goes into .venv.

PYTHON ?= python3
VENV ?= .venv
# A further package index to take torch from, for example one with CPU builds alone (a smaller download).
TORCH_INDEX ?=
# Corpora for `evaluate` and for training; see docs/training.md.
CORPORA ?= ../shared/corpora
# Those that the default generator learns from.
PERMISSIVE := pop909 openscore-lieder openscore-quartets openewld mutopia freedoom cc0-midis groove

# Processes that the tests are shared out to.
WORKERS ?= auto

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALLED := $(VENV)/.muse-installed
INSTALLED_DEMO := $(VENV)/.muse-installed-demo
INSTALLED_DEV := $(VENV)/.muse-installed-dev
SETUP := pyproject.toml constraints.txt hatch_build.py

PORT ?= 7860

.PHONY: help compose demo serve gallery notebooks test lint resolve audit docs licences bench evaluate wheel clean

help:
	@echo "make compose    four pieces, one per quadrant, into out/"
	@echo "make demo       the page in a browser, on http://127.0.0.1:$(PORT)"
	@echo "make gallery    the sixteen pieces of demos/gallery, composed and drawn anew"
	@echo "make notebooks  all notebooks, from the first cell to the last"
	@echo "make serve      the tasks over HTTP, on http://127.0.0.1:8000"
	@echo "make test       the test suite"
	@echo "make lint       ruff and mypy"
	@echo "make resolve    whether all extras can be installed together"
	@echo "make audit      declared, pinned and installed packages, and known vulnerabilities (ADVISORIES=F.zip)"
	@echo "make docs       the documentation, into site/"
	@echo "make licences   docs/licences.md"
	@echo "make bench      speed of the sampler and of attribute extraction"
	@echo "make evaluate   the composer beside people and simpler systems (CORPORA=$(CORPORA); QUICK=1: a little of it)"
	@echo "make wheel      the wheel, into dist/"
	@echo "make clean      remove what make made"

compose: $(INSTALLED)
	$(BIN)/muse compose --emotion Q1 --emotion Q2 --emotion Q3 --emotion Q4 --seed 0 -o 'out/{emotion}.mid'

demo: $(INSTALLED_DEMO)
	$(BIN)/muse demo --port $(PORT)

# Composed from nothing: what lies in out/gallery may be another generator's.
gallery: $(INSTALLED_DEV)
	rm -rf out/gallery demos/gallery/pieces
	$(BIN)/muse compose --batch demos/gallery/requests.jsonl -o out/gallery
	$(BIN)/muse gallery out/gallery -o demos/gallery --title "Muse: sixteen pieces"

# WRITE=--write keeps texts and pictures in the files, as they are committed.
notebooks: $(INSTALLED_DEV)
	$(BIN)/python notebooks/execute.py $(WRITE)

serve: $(INSTALLED)
	$(PIP) install --quiet -c constraints.txt -e '.[serve,audio,text,vision]'
	$(BIN)/muse serve

test: $(INSTALLED_DEV)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

lint: $(INSTALLED_DEV)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy benchmarks

# All extras together must have one solution with the pinned versions.
resolve: $(INSTALLED_DEV)
	$(PIP) install --quiet --dry-run -c constraints.txt -e '.[all,dev]'

audit: $(INSTALLED_DEV)
	$(BIN)/python docs/licences.py --audit $(if $(ADVISORIES),--advisories $(ADVISORIES))

licences: $(INSTALLED_DEV)
	$(BIN)/python docs/licences.py

docs: $(INSTALLED_DEV)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(INSTALLED)
	$(BIN)/muse bench

evaluate: $(INSTALLED)
	$(BIN)/muse corpus build $(addprefix $(CORPORA)/,$(PERMISSIVE)) -o runs/permissive --licence permissive
	$(BIN)/muse evaluate --composer --corpora $(CORPORA) --dataset runs/permissive -o out/evaluation \
		$(if $(QUICK),--quick)

wheel: $(INSTALLED)
	$(PIP) wheel --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) build dist out site .mypy_cache .pytest_cache .ruff_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Muse needs Python 3.11 or newer; name one with: make PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# torch first and by its pin in constraints.txt, so that no other package pulls in another build of it
$(INSTALLED): $(SETUP) | $(BIN)/python
	$(PIP) install --quiet -c constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch
	$(PIP) install --quiet -c constraints.txt -e .
	@touch $@

$(INSTALLED_DEMO): $(INSTALLED)
	$(PIP) install --quiet -c constraints.txt -e '.[demo,audio,text,vision]'
	@touch $@

$(INSTALLED_DEV): $(INSTALLED)
	$(PIP) install --quiet -c constraints.txt -e '.[dev]'
	@touch $@
