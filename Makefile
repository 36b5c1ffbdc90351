# make demo    record an ordinary two-process training script and show what was recorded
# make demo-hf, make test-hf    the same for transformers and accelerate, in an environment of their own
# make test    install the tools and pass the tests
# make check   format, lint, types, import contracts
# make bench   the benchmarks, beside other trackers
# make demo-lightning, test-lightning   PyTorch Lightning, in an environment of its own
# Each target creates what it needs in .venv first; `make PYTHON=python3.12 demo` names another interpreter.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --quiet
# Torch comes first and alone, so that the build found for it (a CPU one where that is what is offered) stays.
TORCH := torch==2.13.0
PYTEST := $(BIN)/python -m pytest

LIGHTNING := .venv-lightning
JAX := .venv-jax
HF := .venv-hf

.PHONY: demo demo-lightning demo-jax demo-hf test-lightning test-jax test-hf test test-fast check format docs bench clean
.DELETE_ON_ERROR:

demo: $(VENV)/.demo
	$(BIN)/rankzero run $(BIN)/torchrun --nproc-per-node=2 examples/digits_ddp.py
	$(BIN)/rankzero show latest

demo-lightning: $(LIGHTNING)/.ready
	$(LIGHTNING)/bin/rankzero run $(LIGHTNING)/bin/python examples/digits_lightning.py --devices 2
	$(LIGHTNING)/bin/rankzero show latest

# With nothing but its own extra and what pytest and LightningCLI need.
test-lightning: $(LIGHTNING)/.ready
	$(LIGHTNING)/bin/python -m pytest -q tests/integrations/lightning

$(LIGHTNING)/.ready: pyproject.toml
	@$(PYTHON) -m venv $(LIGHTNING)
	@$(LIGHTNING)/bin/python -m pip install --quiet --quiet $(TORCH)
	@$(LIGHTNING)/bin/python -m pip install --quiet --quiet -e ".[lightning]" scikit-learn tensorboard \
	  "jsonargparse[signatures]" pytest pytest-timeout pytest-xdist numpy
	@touch $@

demo-jax: $(JAX)/.ready
	$(JAX)/bin/rankzero run $(JAX)/bin/python examples/digits_jax.py
	$(JAX)/bin/rankzero show latest

# With nothing of another framework.
test-jax: $(JAX)/.ready
	$(JAX)/bin/python -m pytest -q -n 2 tests/integrations/jax

$(JAX)/.ready: pyproject.toml
	@$(PYTHON) -m venv $(JAX)
	@$(JAX)/bin/python -m pip install --quiet --quiet -e ".[jax]" scikit-learn pytest pytest-timeout pytest-xdist
	@touch $@

demo-hf: $(HF)/.ready
	$(HF)/bin/rankzero run $(HF)/bin/torchrun --nproc-per-node=2 examples/tiny_hf_trainer.py --output-dir .rankzero/tiny_hf_trainer
	$(HF)/bin/rankzero show latest

test-hf: $(HF)/.ready
	$(HF)/bin/python -m pytest -q tests/integrations/hf

test: $(VENV)/.dev
	@sh tests/launchers/install.sh || echo "no launchers: the tests of MPI and Slurm will be skipped"
	$(PYTEST) -q -n 2 --dist loadgroup

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
	rm -rf $(VENV) $(HF) build dist .rankzero .mypy_cache .ruff_cache .pytest_cache .hypothesis

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

$(HF)/.ready: pyproject.toml
	@echo "Making an environment for Hugging Face in $(HF) (two minutes, once)"
	@$(PYTHON) -m venv $(HF)
	@$(HF)/bin/python -m pip install --quiet --quiet $(TORCH)
	@$(HF)/bin/python -m pip install --quiet --quiet -e ".[hf]" optuna tensorboard pytest pytest-timeout
	@touch $@
