# make demo   sets everything up and runs the whole road on a synthetic hospital
# make test   sets up and passes the tests
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
IN_TWO := --numprocesses 2 --dist loadfile
KILLS  ?= 20

.DEFAULT_GOAL := help
.PHONY: help setup demo test check docs integration faults screenshots bench clean

help:  ## Show this
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## Make .venv with everything that is needed
$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "medspark needs Python 3.11 as $(PYTHON). Set PYTHON=... to name another."; exit 1; }
	@command -v java >/dev/null || [ -x "$$JAVA_HOME/bin/java" ] || { echo "medspark needs Java 17 or newer to run Spark, and finds none. Install a JRE, such as Debian's openjdk-17-jre-headless, or set JAVA_HOME."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --upgrade pip
	PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --constraint constraints.txt --editable ".[train,score,images,explain,docs,dev]"
	@$(BIN)/medspark share-classes >/dev/null || echo "Without the archive each command starts some seconds later."
	@touch $(READY)

demo: $(READY)  ## A synthetic hospital of 20,000 patients, cleaned, learned and scored
	$(BIN)/medspark demo --patients 20000 --out build/demo

test: $(READY)  ## The tests that need nothing but this folder
	$(BIN)/python -m pytest -m "not integration and not slow" $(IN_TWO)

integration: $(READY)  ## The tests with a real browser and real spark-submit, and those that train large networks
	$(BIN)/python -m pytest -m integration $(IN_TWO) --no-loadscope-reorder --durations 15
	$(BIN)/python -m pytest -m "slow and not integration" $(IN_TWO) --no-loadscope-reorder --durations 15

faults: $(READY)  ## The nightly job under faults: dead at each step, killed at KILLS random moments
	MEDSPARK_KILLS=$(KILLS) $(BIN)/python -m pytest -s tests/faults

check: $(READY)  ## Lint, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(READY)  ## The documentation as a site in build/site, its links checked
	PYTHONPATH=. NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

screenshots: $(READY)  ## Pictures of the demo's report and nights: desktop and phone, light and dark, and PDFs
	$(BIN)/python tests/support/screenshots.py --out build/screenshots

bench: $(READY)  ## Benchmarks: medspark beside its alternatives, as ratios
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[bench]"
	$(BIN)/python benchmarks/clean.py
	$(BIN)/python benchmarks/events.py --millions 1 10
	$(BIN)/python benchmarks/scoring.py
	$(BIN)/python benchmarks/evaluating.py

clean:  ## Remove what make made
	rm -rf $(VENV) build
