# `make run` shows a whole federation on this machine, `make test` runs the tests, `make faults` tries every
# fault (docs/faults.md) and prints what came of it.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
READY := .venv/.ready

.PHONY: run test faults lint clean
run: $(READY)
	.venv/bin/laennec demo

test: $(READY)
	.venv/bin/pytest

faults: $(READY)
	.venv/bin/pytest -n 2 -m fault --durations=0 tests/system

lint: $(READY)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

# The environment is made again only when what it is made from changed.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Laennec needs Python 3.11 or newer, found %s: set PYTHON=/path/to/python3.11" % sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(READY)

clean:
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
