# make demo    record an ordinary two-process training script and show what was recorded
# make demo-lightning, demo-hf, demo-keras, demo-jax    the same for a framework, in an environment of its own
# make test    install the tools and pass the tests: test-core, then test-<leg> for each environment of tests/legs
# make check   format, lint, types, import contracts
# make bench   the benchmarks, beside other trackers
# Each target creates what it needs in .venv first; `make PYTHON=python3.12 demo` names another interpreter.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --quiet
# Torch comes first and alone, so that the build found for it (a CPU one where that is what is offered) stays.
TORCH := torch==2.13.0
PYTEST := $(BIN)/python -m pytest
# A leg uses little of what it installs: modules are compiled when they are imported, and kept then.
LEG_PIP := bin/python -m pip install --quiet --quiet --no-compile
export PYTHONDONTWRITEBYTECODE :=

# An environment a file of tests/legs, with nothing but what it names: `make test-jax-oldest` runs tests/integrations/jax there.
LEGS := $(patsubst tests/legs/%.txt,%,$(wildcard tests/legs/*.txt))
# The oldest torch comes with seven gigabytes of CUDA only: by hand, `make test-pytorch-oldest`.
BY_HAND := pytorch-oldest

.PHONY: demo demo-pytorch demo-lightning demo-jax demo-hf demo-keras test test-core test-fast test-legs check format docs bench clean
.SECONDARY:
.DELETE_ON_ERROR:

demo: $(VENV)/.demo
	$(BIN)/rankzero run $(BIN)/torchrun --nproc-per-node=2 examples/digits_ddp.py
	$(BIN)/rankzero show latest

# The main demo is that of plain PyTorch.
demo-pytorch: demo

demo-lightning: .legs/lightning/.ready
	$(<D)/bin/rankzero run $(<D)/bin/python examples/digits_lightning.py --devices 2
	$(<D)/bin/rankzero show latest

demo-jax: .legs/jax/.ready
	$(<D)/bin/rankzero run --log-every 20 $(<D)/bin/python examples/digits_jax.py
	$(<D)/bin/rankzero show latest

demo-hf: .legs/hf/.ready
	$(<D)/bin/rankzero run $(<D)/bin/torchrun --nproc-per-node=2 examples/tiny_hf_trainer.py --output-dir .rankzero/tiny_hf_trainer
	$(<D)/bin/rankzero show latest

demo-keras: .legs/keras-torch/.ready
	KERAS_BACKEND=torch $(<D)/bin/rankzero run $(<D)/bin/python examples/digits_keras.py
	$(<D)/bin/rankzero show latest

test:
	@status=0; \
	for part in test-core test-legs; do $(MAKE) --no-print-directory $$part || status=1; done; \
	exit $$status

test-core: $(VENV)/.dev
	@sh tests/launchers/install.sh || echo "no launchers: the tests of MPI and Slurm will be skipped"
	$(PYTEST) -q -n 2 --dist loadgroup

test-legs:
	@status=0; \
	for leg in $(filter-out $(BY_HAND),$(LEGS)); do $(MAKE) --no-print-directory test-$$leg || status=1; done; \
	exit $$status

$(LEGS:%=test-%): test-%: .legs/%/.ready
	$(<D)/bin/python -m pytest -q -n 2 --dist loadgroup tests/integrations/$(firstword $(subst -, ,$*))

test-fast: $(VENV)/.dev
	$(PYTEST) -q -m "not slow" -n 2 --dist loadgroup

check: $(VENV)/.dev
	@status=0; \
	for tool in "ruff format --check ." "ruff check ." mypy pyright lint-imports; do \
	  echo "$$tool"; $(BIN)/$$tool || status=1; \
	done; \
	exit $$status

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Rewrites the tables in docs/ that are made from the code.
docs: $(VENV)/.dev
	UPDATE_DOCS=1 $(PYTEST) -q tests/house/test_settings_table.py

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks.all

clean:
	rm -rf $(VENV) .legs build dist .rankzero .mypy_cache .ruff_cache .pytest_cache .hypothesis

# The environment, in three steps: enough for the demo, for the tests, for the benchmarks.
$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "rankzero needs Python 3.11 or newer, and $(PYTHON) is not: name one, as in make PYTHON=python3.12 demo" >&2; exit 1; }
	@echo "Making an environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.demo: pyproject.toml | $(VENV)/.python
	@echo "Installing rankzero, PyTorch and scikit-learn (a minute, once)"
	@$(PIP) $(TORCH)
	@$(PIP) -e ".[pytorch]" scikit-learn
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/.demo
	@echo "Installing the tools for the tests (a minute, once)"
	@$(PIP) -e ".[dev]"
	@touch $@

$(VENV)/.bench: pyproject.toml | $(VENV)/.dev
	@echo "Installing the trackers to compare with (once)"
	@$(PIP) -e ".[bench]"
	@touch $@

.legs/%/.ready: tests/legs/%.txt pyproject.toml
	@echo "Making the environment of tests/legs/$*.txt (a minute or two, once)"
	@$(PYTHON) -m venv .legs/$*
	@grep '^torch==' $< | xargs -r $(@D)/$(LEG_PIP)
	@$(@D)/$(LEG_PIP) -r $< pytest pytest-timeout pytest-xdist
	@touch $@
