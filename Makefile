# make fit: train on the shipped sample. make test: run every check. Both set up what they need, once.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: fit test quick checks reference campaign bench

fit: .venv/installed
	$(BIN)/python -m project fit

test: checks
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

# All tests but those that start processes or commands that train
quick: checks
	$(BIN)/python -m pytest -q -m "not process" -n 2 --dist worksteal

checks: .venv/installed-test
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# The long versions of the tests: kills, damaged files, hostile options; about 50 minutes
campaign: .venv/installed-test
	$(BIN)/python -m tests.campaigns.class_files --files 1000000 --seconds 450
	$(BIN)/python -m tests.campaigns.checkpoints --seconds 600
	$(BIN)/python -m tests.campaigns.kills --kills 1000 --seconds 1000
	$(BIN)/python -m tests.campaigns.options --cases 2000 --seconds 600
	$(BIN)/python -m tests.campaigns.coverage --seconds 300

# Beside a loop by hand, the usual Lightning tutorial and, where they are installed, scikit-learn, skorch and Keras
bench: .venv/installed-test
	$(BIN)/python -m tests.benchmarks

# The runs that the README shows, and the outputs of the notebook
reference: .venv/installed-test
	rm -rf lightning_logs/bce lightning_logs/mse lightning_logs/study lightning_logs/comparison
	$(BIN)/python -m project fit --config configs/bce.yaml --name bce --data.track_test true
	$(BIN)/python -m project fit --config configs/mse.yaml --name mse --data.track_test true
	$(BIN)/python -m project test --name bce
	$(BIN)/python -m project test --name mse
	$(BIN)/python -m project compare bce mse --output lightning_logs/comparison
	$(BIN)/python -m project study --config configs/study.yaml --name study
	$(BIN)/python -m tests.test_coursework

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/installed-test: .venv/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .[test]
	touch $@
