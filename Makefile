# make fit: train on the shipped sample. make test: run every check. Both set up what they need, once.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: fit test

fit: .venv/installed
	$(BIN)/python -m project fit

test: .venv/installed-test
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/python -m pytest -q

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/installed-test: .venv/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .[test]
	touch $@
