# Needs python3 (3.11 or newer), git and make; `make setup` brings the rest into .venv.

PYTHON := $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
export UV_PROJECT_ENVIRONMENT := .venv
export UV_PYTHON_DOWNLOADS := never
# Where the system keeps certificates they are trusted, those of a company proxy among them.
export UV_SYSTEM_CERTS ?= \
	$(if $(wildcard /etc/ssl/certs/*.crt /etc/ssl/certs/*.pem /etc/pki/tls/certs/*.crt),true,false)
unexport VIRTUAL_ENV
# Hundreds of processes are started by the tests alone; none should compile what others have.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test check format reference bench chaos

help:
	@echo "make demo     two years of a small company, and a guided tour through them"
	@echo "make test     all tests"
	@echo "make check    format, lint, types, imports, tests: what has to pass before a merge"
	@echo "make format   format the code and mend what ruff can mend"
	@echo "make reference   write docs/reference/ and the answers in docs/analysts.md anew"
	@echo "make bench    the figures of the README, measured on this machine"
	@echo "make chaos    hundreds of kills, cuts and other faults: CHAOS_KILLS=200 CHAOS_SEED=…"
	@echo "make setup    only what all of these do first: .venv with locked dependencies"

setup: .venv/.ready

.venv/.ready: uv.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Backstory needs Python 3.11 or newer; found: $(PYTHON)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@echo "Installing locked dependencies into .venv ..."
	@$(BIN)/uv sync --frozen --quiet --compile-bytecode
	@touch $@

demo: setup
	@$(BIN)/backstory demo

test: setup
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

check: setup
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

format: setup
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

reference: setup
	@$(BIN)/backstory catalog --markdown docs/reference
	@$(BIN)/python -m tests.analysts

bench: setup
	@$(BIN)/python -m benchmarks

chaos: setup
	@export CHAOS_KILLS=$${CHAOS_KILLS:-200} CHAOS_SEED=$${CHAOS_SEED:-$$(date +%s)}; \
	echo "make chaos CHAOS_KILLS=$$CHAOS_KILLS CHAOS_SEED=$$CHAOS_SEED"; \
	$(BIN)/pytest tests/chaos --durations=10
