# make quickstart   rewrite real English with a real model on this machine's processor
# make check        what one runs while working: lint, import contracts, and all tests that start neither Ray nor a model
# make test         what must hold before a push: these, and a short form of everything else
# make test-all     the long forms too: more kills and storms, all smoke configs

PYTHON ?= python3
UV := uv==0.13.8
TORCH := $(shell grep '^torch==' requirements-cpu.txt)
PIP_INSTALL := .venv/bin/python -m pip --disable-pip-version-check install -qq --no-deps --no-compile
INSTALLED := .venv/installed

# Processes that test side by side: more than two cores, because tests wait. Each has a Ray and models of its own where there are such.
WORKERS ?= 3
CHECKERS ?= 4
PYTEST := .venv/bin/python -m pytest -q --durations=10

.PHONY: quickstart lint check test test-all install

quickstart: install
	.venv/bin/python -m pipelines.quickstart

lint: install
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports

check: lint
	$(PYTEST) -n $(CHECKERS) -m "not ray and not model and not long"

test: lint
	$(PYTEST) -n $(WORKERS) -m "not long"

test-all: lint
	$(PYTEST) -n $(WORKERS)

install: $(INSTALLED)

# --no-compile: pip makes byte code on one core; compileall takes all of them. It is made here, not at the first import, because
# every process that Ray starts imports, and some machines forbid it then (PYTHONDONTWRITEBYTECODE).
# PyTorch keeps its CPU builds in an index of its own. Where pip is not configured to see them, uv knows that index by itself.
$(INSTALLED): requirements-cpu.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "gristmill needs Python 3.11 or newer, $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12 ..."; exit 2; }
	@test -x .venv/bin/pip || $(PYTHON) -m venv .venv
	@echo "installing $$(grep -c == requirements-cpu.txt) pinned packages into .venv (3 GB on disk, about two minutes) ..."
	@$(PIP_INSTALL) $(TORCH) 2>/dev/null || \
		{ echo "pip's own sources have no $(TORCH): taking it from PyTorch's index of CPU builds"; \
		$(PIP_INSTALL) $(UV) && .venv/bin/uv pip install -q --python .venv/bin/python --no-deps --torch-backend=cpu $(TORCH); }
	@$(PIP_INSTALL) -r requirements-cpu.txt
	@$(PIP_INSTALL) --no-build-isolation --editable .
	@.venv/bin/python -m compileall -q -j 0 .venv/lib >/dev/null 2>&1 || true # a few packages carry templates that are no code yet
	@touch $@
