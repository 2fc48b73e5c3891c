# `make demo` and `make test` do all set-up. Needs Python 3.11 or newer; choose one with `make PYTHON=python3.12 demo`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOWEST := .venv-lowest
CHECKED := src tests recipes benchmarks docs examples integrations
# torch has a team of threads in every process: with several test processes, one thread each is fastest.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto

.PHONY: demo test test-slow test-lowest lint docs zoo results clean

demo: $(VENV)/.installed
	$(BIN)/holdsteady demo --out demo

# The fast tests, and a fifth of the slow ones.
test: $(VENV)/.installed-dev lint
	$(PYTEST) --slow sample

# All slow tests.
test-slow: $(VENV)/.installed-dev
	$(PYTEST) --slow only

# The fast tests with the oldest versions that pyproject.toml allows. PyPI's torch for Linux brings CUDA (3 GB); set
# PIP_EXTRA_INDEX_URL to PyTorch's CPU index to avoid it.
test-lowest: $(LOWEST)/.installed
	OMP_NUM_THREADS=1 $(LOWEST)/bin/pytest --numprocesses auto

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/ruff format --check $(CHECKED)
	$(BIN)/mypy

docs: $(VENV)/.installed-docs
	$(BIN)/mkdocs build --strict

# The models and adapters that ship, made again into build/zoo: MINUTES=5 is the most for each. What is done is kept.
zoo: $(VENV)/.installed-dev
	$(BIN)/python recipes/get_footage.py
	$(BIN)/python recipes/make_zoo.py $(if $(MINUTES),--minutes $(MINUTES))

# The tables of docs/results.md that are written by programs, from what benchmarks/results holds; what is missing there is
# measured, which takes hours on two cores.
RESULTS := compressed front kinds leave_one_out robustness stability_weight strides weather
results: $(VENV)/.installed-dev
	$(BIN)/python recipes/get_footage.py
	for task in detail detail-strong; do \
		$(BIN)/python recipes/pairs.py $$task --out build/$$task --clips 200 --length 8 || exit 1; done
	for name in $(RESULTS); do \
		$(BIN)/python benchmarks/$$name.py --footage footage --json benchmarks/results/$$name.json --docs docs/results.md \
			|| exit 1; done

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "holdsteady needs Python 3.11 or newer, and $(PYTHON) is older: make PYTHON=python3.12 demo" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The stamps are written last, so that an interrupted installation is repeated.
$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[cv,cli,report]'
	touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@ $(VENV)/.installed

$(LOWEST)/.installed: pyproject.toml constraints/lowest.txt
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --constraint constraints/lowest.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) $(LOWEST) demo site
