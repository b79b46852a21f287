# `make help` lists the targets. Variables go on the command line: make install PYTHON=python3.12
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# The first Python from 3.10 to 3.12 found.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.10 python3 python; do \
	$$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && echo $$p && break; done)
# Test processes at once.
JOBS ?= 2

VENV := .venv
BIN := $(VENV)/bin
COMMA := ,
INSTALLED := $(VENV)/installed
CHOICE := $(VENV)/choice.mk

# Another torch than constraints.txt's, and more extras than `dev`, are remembered by the environment they are in.
-include $(CHOICE)
TORCH ?= $(INSTALLED_TORCH)
TORCH_INDEX ?= $(INSTALLED_TORCH_INDEX)
EXTRAS ?= $(INSTALLED_EXTRAS)
ifneq ($(TORCH)|$(TORCH_INDEX)|$(EXTRAS),$(INSTALLED_TORCH)|$(INSTALLED_TORCH_INDEX)|$(INSTALLED_EXTRAS))
.PHONY: $(INSTALLED)
endif

.PHONY: help
help: ## list the targets
	@echo "Targets:"
	@grep -hE '^[a-z0-9_-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9_-]+):.*## (.*)/  \1|\2/' | \
		while IFS='|' read -r name text; do printf '%-19s %s\n' "$$name" "$$text"; done
	@echo "Variables:"
	@echo "  PYTHON=python3.12   the Python (3.10 to 3.12) that .venv is made with"
	@echo "  TORCH_INDEX=URL     a package index to take torch, torchvision and torchaudio from, e.g. of CPU-only wheels"
	@echo "  TORCH='torch==X torchvision==Y torchaudio==Z'   instead of the versions in constraints.txt"
	@echo "  EXTRAS=browser,landmarks   setup.cfg's extras to install beside dev, e.g. for tests that are skipped without them"
	@echo "  JOBS=2              test processes at once"

.PHONY: install
install: $(INSTALLED) ## make .venv with everything at the versions of constraints.txt; nothing when up to date

# The packages in one call of pip: torch, torchvision and torchaudio must come from the same place.
$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	@python="$(PYTHON)"; if ! "$${python:-none}" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then \
		echo "make: '$${python:-python3}' is not a Python from 3.10 to 3.12: name one, make install PYTHON=python3.11" >&2; exit 1; fi
	@if [ ! -x $(BIN)/pip ]; then \
		echo "== making $(VENV) with $$($(PYTHON) --version)"; \
		$(PYTHON) -m venv $(VENV) || { echo "make: '$(PYTHON) -m venv' failed; on Debian and Ubuntu: apt install python3-venv" >&2; rm -rf $(VENV); exit 1; }; fi
	@grep -vE '$(if $(TORCH),^(torch|torchvision|torchaudio|triton|cuda-.*|nvidia-.*)==,^$$)' constraints.txt > $(VENV)/constraints.txt
	@echo "== installing into $(VENV): about 3 minutes and 7 GB the first time (torch with CUDA; see TORCH_INDEX in 'make help')"
	@started=$$SECONDS; \
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -e '.[dev$(if $(EXTRAS),$(COMMA)$(EXTRAS))]' $(TORCH) -c $(VENV)/constraints.txt \
		$(if $(TORCH_INDEX),--extra-index-url '$(TORCH_INDEX)') \
		| sed -uE -n '/^(Collecting|Downloading|Installing collected|Building|Successfully)/ { s/^Installing collected packages.*/Installing (2 minutes or so) .../; s/ \(from .*//; s/^Successfully installed.*/Successfully installed/; p }'; \
	printf 'INSTALLED_%s := %s\n' TORCH '$(TORCH)' TORCH_INDEX '$(TORCH_INDEX)' EXTRAS '$(EXTRAS)' > $(CHOICE); \
	touch $@; \
	echo "== installed in $$((SECONDS - started)) s; '. $(VENV)/bin/activate' puts s2v on the path"

.PHONY: test
test: install lint type ## lint, type-check and run the default tests
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

.PHONY: test-slow
test-slow: install ## the tests that train for a while, or run a whole chain
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m slow --timeout 1800

.PHONY: test-full
test-full: install lint type ## every test, none of them shortened
	S2V_FULL=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m '' --timeout 3600

.PHONY: lint
lint: install ## check style with ruff
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check

.PHONY: format
format: install ## put the sources into style
	$(BIN)/python -m ruff check --fix
	$(BIN)/python -m ruff format

.PHONY: type
type: install ## check types with mypy
	$(BIN)/python -m mypy

.PHONY: clean
clean: ## remove build products and caches; runs, data and .venv stay
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -path ./$(VENV) -prune -o -type d -name __pycache__ -print0 | xargs -0 -r rm -rf

.PHONY: distclean
distclean: clean ## clean, and remove .venv
	rm -rf $(VENV)

-include experiments/demo/demo.mk experiments/real_faces/real_faces.mk
