# Everything from a fresh machine with Python 3.11+ and make: `make demo`, `make test`.
VENV := .venv
ifeq ($(OS),Windows_NT)
PYTHON ?= python
BIN := $(VENV)/Scripts
else
PYTHON ?= python3
BIN := $(VENV)/bin
endif
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-slow study-balls study-dsprites docs format clean

demo: $(INSTALLED)
	$(BIN)/unbraid demo

test: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n auto --dist worksteal

test-slow: $(INSTALLED)
	$(BIN)/pytest -m slow

study-balls: $(INSTALLED)
	$(BIN)/unbraid study balls

study-dsprites: $(INSTALLED)
	$(BIN)/unbraid study dsprites-capacity

docs: $(INSTALLED)
	$(BIN)/python docs/build.py

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
