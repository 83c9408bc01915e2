# Two commands matter: `make demo` shows the main job, `make test` passes lint, types and tests.
# Both do all set-up themselves; they need Python 3.11 or newer, git and make.

PYTHON ?= python3
VENV   ?= .venv
RUN    := $(VENV)/bin/python
DEBIAN := apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q
READY  := $(VENV)/.ready

# The suite starts some hundred new processes: each module is compiled once, whatever the machine's own setting.
export PYTHONDONTWRITEBYTECODE :=
# And they write as those of users do.
export PYTHONUNBUFFERED :=

.PHONY: demo test lint types pytest tools test-all bench bench-counted conformance clients mutation format clean

demo: $(READY)
	@$(RUN) examples/payments/demo.py

test: lint types pytest

lint: $(READY)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

types: $(READY)
	$(RUN) -m mypy

pytest: $(READY) tools
	$(RUN) -m pytest -q -n 2 --dist worksteal

# Programs that the tests run, clients in other languages and a browser: where one is missing they fail and name it.
# A fresh machine has no list of packages yet.
tools:
	@command -v curl >/dev/null || { $(DEBIAN) curl; } || echo "curl is missing and could not be installed"
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || { $(DEBIAN) chromium chromium-driver; } \
		|| echo "chromium is missing and could not be installed"

# Every interpreter found, and the long runs.
test-all: test
	$(RUN) tests/every_interpreter.py

bench: $(READY)
	$(RUN) -m pip install -q -e ".[test,bench]"
	$(RUN) benchmarks/run.py --write
	$(RUN) benchmarks/breaker.py --write

# The same on a busy machine: instructions, counted by Valgrind. Half an hour.
bench-counted: $(READY)
	@command -v valgrind >/dev/null || { $(DEBIAN) valgrind; }
	$(RUN) -m pip install -q -e ".[test,bench]"
	$(RUN) benchmarks/counted.py --write

# What other retry engines and breakers do, each cell of docs/CONFORMANCE.md run again.
conformance: $(READY)
	$(RUN) -m tests.conformance

# What exploring finds in clients on their defaults, docs/clients.md written anew: some minutes.
clients: $(READY)
	$(RUN) -m tests.clients --write

# Change the laws in small ways and see that a test notices: every tenth change to a function, up to an hour.
# MUTANTS='*' makes every one, in hours; MUTANTS='*laws.load.*' those of a module. None that lived is no failure.
MUTANTS ?= *7
mutation: $(READY)
	$(RUN) -m pip install -q -e ".[test,mutation]"
	nice -n 15 $(VENV)/bin/mutmut run --max-children 2 '$(MUTANTS)'
	@echo "These lived, or were reached by no test; mutmut show NAME shows one:"
	@$(VENV)/bin/mutmut results | grep -v ': not checked$$' || true

format: $(READY)
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install -q --upgrade pip
	$(RUN) -m pip install -q -e ".[test]"
	@touch $@

clean:
	rm -rf $(VENV) .venvs mutants build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
