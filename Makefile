# Everything is run from a virtual environment of the project's own: `make demo`, `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo demo-aws debian test lint types layers lock clean
.DEFAULT_GOAL := help

help: ## show what there is to make
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: .venv/.installed ## make .venv with the locked dependencies and the project itself

.venv/.installed: requirements/dev.lock pyproject.toml examples/elite_journals/pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . -e examples/elite_journals
	touch $@

# MiniStack, an emulator of AWS, pins what it stands on; so it has an environment of its own.
.venv/ministack/.installed: requirements/ministack.lock | .venv/.installed
	$(PYTHON) -m venv .venv/ministack
	.venv/ministack/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/ministack.lock
	touch $@

demo: setup ## start everything, send a life-like load, compare what came of it
	$(BIN)/playerstate demo

demo-aws: setup .venv/ministack/.installed ## run the functions of a deployment on AWS, on an emulator, and compare
	$(BIN)/python examples/aws_demo

debian: ## install the Debian packages that tests run servers of (root only; else those tests are skipped)
	@tests/debian_packages.sh

test: setup .venv/ministack/.installed debian ## run the tests
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

lint: setup ## check style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup ## check types
	$(BIN)/mypy

layers: setup ## check the import layers
	$(BIN)/lint-imports

lock: ## resolve the dependencies anew into requirements/*.lock (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--quiet pyproject.toml -o requirements/run.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--quiet pyproject.toml --extra aws --group dev -c requirements/run.lock -o requirements/dev.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--quiet requirements/ministack.in -o requirements/ministack.lock
	uv pip compile --python-platform aarch64-manylinux_2_28 --python-version 3.13 --generate-hashes --no-annotate --no-header \
		--quiet src/playerstate/packaging/lambda.in -c requirements/dev.lock -o src/playerstate/packaging/lambda.lock

clean: ## remove what make has made
	rm -rf .venv dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
