# make demo   set up .venv, train on handwritten digits, export to NIR, prove it equal, evaluate it
# make test   set up .venv, run the tests, ruff, mypy and the import rules

PYTHON ?= $(firstword $(foreach p,python3.11 python3.12,$(if $(shell command -v $(p) 2>/dev/null),$(p))) python3)
BIN := .venv/bin
STAMP := .venv/.installed
RUN := runs/demo

export MPLBACKEND := Agg

.PHONY: demo test tests lint types format setup clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; \
	  sys.exit(0 if v in ((3, 11), (3, 12)) else "mpo-snn needs Python 3.11 or 3.12, found %d.%d: make PYTHON=python3.11" % v)'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv: some 3 GB, one to a few minutes"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,events]'
	@touch $@

demo: setup
	@test -f $(RUN)/model.safetensors && echo "$(RUN) is trained; 'rm -r $(RUN)' trains it anew." \
	  || if test -d $(RUN); then $(BIN)/mpo-train --resume $(RUN); \
	  else $(BIN)/mpo-train digits --output $(RUN); fi
	$(BIN)/mpo-export $(RUN) --format nir
	$(BIN)/mpo-evaluate $(RUN)/model.nir --data digits

test: setup tests lint types

tests: setup
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term:skip-covered -q

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYTHONPATH=. $(BIN)/lint-imports

types: setup
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
