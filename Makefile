# make demo   set up .venv, train on handwritten digits, export to NIR, prove it equal, evaluate it
# make test   set up .venv, run the tests, ruff, mypy and the import rules
# make coverage   run the tests and list the lines that none of them reaches
# make docs   build the documentation site into build/site
# make counters   install NeuroBench and SpikingJelly, count beside them, write docs/agreement.md
# make interop   install the NIR readers, run every network in each, write docs/interop.md
# make deploy-proof  the integer cores of chips against their simulators, writes docs/chips.md
# make bench  time layers, training steps, inference and counting against their peers (half an hour of
#             one core), draw how cost grows, print one table; results in benchmarks/results.
#             IMAGES=FILE.tar: and input, on a tar of train/CLASS/*, val/CLASS/*
# make bench-check  every benchmark in its smallest form on a CPU, a minute: whether it runs, not how fast
# make browser   open the reports of the demo and of a ResNet, both side by side, and curves of robustness, in
#                Chromium: wide, narrow, light, dark; pictures in build/browser

PYTHON ?= $(firstword $(foreach p,python3.11 python3.12,$(if $(shell command -v $(p) 2>/dev/null),$(p))) python3)
BIN := .venv/bin
STAMP := .venv/.installed
RUN := runs/demo
RESNET := runs/resnet19-digits
INTEROP ?= .interop
PIP_QUIET := install --quiet --disable-pip-version-check

export MPLBACKEND := Agg

.PHONY: demo test tests coverage docs bench bench-check interop readers counters deploy-proof browser lint types format setup clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; \
	  sys.exit(0 if v in ((3, 11), (3, 12)) else "mpo-snn needs Python 3.11 or 3.12, found %d.%d: make PYTHON=python3.11" % v)'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv: some 3 GB, one to a few minutes"
	$(BIN)/python -m pip $(PIP_QUIET) -c constraints.txt -e '.[dev,events]'
	@touch $@

demo: setup
	@test -f $(RUN)/model.safetensors && echo "$(RUN) is trained; 'rm -r $(RUN)' trains it anew." \
	  || if test -d $(RUN); then $(BIN)/mpo-train --resume $(RUN); \
	  else $(BIN)/mpo-train digits --output $(RUN); fi
	$(BIN)/mpo-export $(RUN) --format nir
	$(BIN)/mpo-evaluate $(RUN)/model.nir --data digits

test: setup tests lint types

tests: setup
	$(BIN)/python -m pytest -n 2 -q

coverage: setup
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term:skip-covered -q

docs: .venv/.docs-installed
	NO_MKDOCS_2_WARNING=1 PYTHONPATH=. $(BIN)/python -m mkdocs build --strict --quiet
	@echo "built build/site/index.html"

.venv/.docs-installed: $(STAMP)
	$(BIN)/python -m pip $(PIP_QUIET) -c constraints.txt -e '.[docs]'
	@touch $@

interop: setup readers
	$(BIN)/python -m interop.matrix $(INTEROP)

deploy-proof: setup $(foreach e,chips legacy loihi,$(INTEROP)/$(e)/.installed)
	$(BIN)/python -m chip_proof.compare $(INTEROP)

BENCH := MALLOC_MMAP_THRESHOLD_=8589934592 MALLOC_TRIM_THRESHOLD_=8589934592 \
  PYTHONPATH=.:$(INTEROP)/peers $(BIN)/python -m

bench: setup $(INTEROP)/peers/.installed
	$(BENCH) benchmarks.gpu.kernel --again
	$(BENCH) benchmarks.gpu.throughput --again
	$(BENCH) benchmarks.gpu.throughput --again --network vgg11 --channel-scale 0.5 --layout own
	$(BENCH) benchmarks.gpu.throughput --again --network resnet18 --channel-scale 0.5 --layout own
	$(BENCH) benchmarks.overhead --again
	$(BENCH) benchmarks.shares --again
	$(BENCH) benchmarks.convolution --again
	$(BENCH) benchmarks.product --again
	$(BENCH) benchmarks.counting --again
	$(BENCH) benchmarks.inference --again
	$(if $(IMAGES),$(BENCH) benchmarks.input --data $(IMAGES) --again,@echo "input is not measured: make bench IMAGES=FILE.tar")
	$(BENCH) benchmarks.growth --again --minutes 20
	$(BENCH) benchmarks.growth --figure docs/images/growth.svg
	$(BENCH) benchmarks.table

bench-check: setup
	$(BENCH) benchmarks.check build/bench-check

$(INTEROP)/peers/.installed: interop/environments/peers.txt
	$(BIN)/python -m pip $(PIP_QUIET) --no-deps --upgrade --target $(@D) -r $<
	@touch $@

browser: setup $(INTEROP)/browser/.installed
	test -f $(RUN)/model.nir || $(MAKE) demo
	test -f $(RESNET)/model.nir || ( $(BIN)/mpo-train digits --output $(RESNET) --network.name resnet19 \
	  --network.channel_scale 0.125 --epochs 2 --quiet && $(BIN)/mpo-export $(RESNET) > /dev/null )
	$(BIN)/mpo-evaluate $(RUN)/model.nir
	$(BIN)/mpo-evaluate $(RESNET)/model.nir
	$(BIN)/mpo-evaluate --compare $(RUN)/report.json $(RESNET)/report.json --output runs/side-by-side
	$(BIN)/mpo-evaluate $(RUN)/model.nir --samples 60 --robustness --seeds 2 --output runs/robustness
	PYTHONPATH=. $(BIN)/python -m browser.check_report $(INTEROP)/browser $(RUN)/report.html \
	  $(RESNET)/report.html runs/side-by-side/comparison.html runs/robustness/report.html --pictures build/browser

counters: setup $(INTEROP)/counters/.installed
	$(BIN)/python -m interop.counters.compare $(INTEROP)

readers: $(foreach e,modern legacy jax,$(INTEROP)/$(e)/.installed)

$(INTEROP)/%/.installed: interop/environments/%.txt interop/environments/torch.txt constraints.txt
	@test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	@echo "installing what is compared with into $(@D)"
	$(if $(filter jax chips loihi browser,$*),,$(@D)/bin/python -m pip $(PIP_QUIET) -c constraints.txt -r $(word 2,$^))
	$(@D)/bin/python -m pip $(PIP_QUIET) --no-deps -r $<
	@touch $@

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
