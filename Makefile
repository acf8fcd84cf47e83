# make report [PRESET=mini|smoke|fine|night|seeds|photos|gpu] [RESULTS=results]   everything, up to RESULTS/report.html
# make data | train | sample | evaluate                       up to there
# make push | make pull                                       results to and from the DVC remote; pull verifies them
# make reference [RESULTS=results]                           the tables and pictures of README and docs/ from a finished run
# make demo                                                 objects of the models that ship, in a minute, without a training
# make zip [RESULTS=results]                                 the finished page with its tables and figures, to mail
# make bench [RESULTS=results]                               speed and memory, as ratios, on a finished training
# make test                                                  lint, types and the whole test suite
# make campaign [CAMPAIGN=folder]                             50 kills, all bad input: the table of docs/reliability.md, in half an hour
# make lint | types | unit | dry-run                          parts of it: unit tests that are fast, the workflow's dry runs
# make clean                                                 remove the environment and caches, not the results
PRESET ?= mini
RESULTS ?= results
CORES ?= all
THREADS ?= $(shell nproc 2>/dev/null || echo 2)
PYTHON ?= python3.11
BIN := .venv/bin
# One job at a time has a GPU; on a cluster its scheduler sees to that.
GPUS := $(filter-out 0,$(shell nvidia-smi --list-gpus 2>/dev/null | grep -c ^GPU))
ONE_EACH := $(if $(SNAKEMAKE_PROFILE),,$(if $(GPUS),--resources gpu=$(GPUS)))
# Two files of tests side by side, each on one core; the longest come first (tests/conftest.py)
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder
BENCHMARKS := dataset prepare warmup reconstruct encode train sample hypotheses render import mesh evaluate reference consistency geometry \
	geometry_floor curve memorisation ladder

.PHONY: demo report data train sample evaluate push pull reference zip bench test campaign lint types unit dry-run clean .venv

# The lock vanishes with the last process of a run, so that a killed run can be taken up at once, and never twice.
define snakemake
	@mkdir -p "$(RESULTS)"
	@flock --nonblock --conflict-exit-code 75 "$(RESULTS)/.lock" \
		env HOLOFUSION_COMMAND="make $(MAKECMDGOALS) $(MAKEOVERRIDES)" VERBOSE="$(VERBOSE)" \
		$(BIN)/snakemake $(1) --nolock --cores $(CORES) $(ONE_EACH) --config preset=$(PRESET) results="$(RESULTS)"; \
	status=$$?; \
	if [ $$status -eq 75 ]; then echo "error: $(RESULTS)/: a run, or a step that outlived one, is still at work here" >&2; fi; \
	exit $$status
endef

demo: .venv
	@$(BIN)/holofusion demo --out demo --threads $(THREADS)

report: .venv
	@test "$(PRESET)" != smoke || echo "smoke: runs every step, tiny, to see that all work here; no number or picture of it is a result"
	$(call snakemake,all)
	@echo "$(RESULTS)/report.html"
	@test "$(PRESET)" != smoke || echo "every step works; \`make demo\` shows objects, \`make report\` trains and scores all methods"

# The stages below it, which dvc.yaml calls; it wants every folder to be there, also those that no row needs.
data train sample evaluate: .venv
	$(call snakemake,$@)
	@$(BIN)/holofusion contents $@ --results "$(RESULTS)"
	@cd "$(RESULTS)" && mkdir -p dataset warmup reconstructions codes hypotheses meshes $(addprefix benchmarks/,$(BENCHMARKS))

push: .venv
	@$(BIN)/holofusion push

# Ends with the check that what has come is what its settings and inputs make.
pull: .venv
	@$(BIN)/holofusion pull --preset $(PRESET) --results "$(RESULTS)"

reference: .venv
	@$(BIN)/python -m tools.reference "$(RESULTS)"

zip: .venv
	@test -f "$(RESULTS)/report.html" || { echo "error: $(RESULTS)/report.html: not made yet; run \`make report\` first" >&2; exit 2; }
	@cd "$(RESULTS)" && "$(CURDIR)/$(BIN)/python" -m zipfile -c report.zip report.html figures tables
	@echo "$(RESULTS)/report.zip"

# Makes the training it measures on first; other work on the machine spoils its figures.
bench: .venv
	$(call snakemake,"$$($(BIN)/python -m benchmarks --needs --preset $(PRESET) --results "$(RESULTS)")")
	@$(BIN)/python -m benchmarks --results "$(RESULTS)"

test: lint types
	$(PYTEST)

campaign: .venv
	@$(BIN)/python tests/faults/campaign.py $(CAMPAIGN)

lint: .venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check workflow

types: .venv
	$(BIN)/mypy

unit: .venv
	$(PYTEST) -m "not slow and not cluster" --ignore tests/workflow

dry-run: .venv
	$(PYTEST) -m "not slow and not cluster" tests/workflow

# Made again from the start unless its copy of the lock file, written last, is the present one.
.venv:
	@cmp -s requirements.lock .venv/made-from.lock || { \
		command -v $(PYTHON) >/dev/null || \
			{ echo "error: $(PYTHON) not found; install Python 3.11, or name it: make PYTHON=/path/to/python3.11" >&2; exit 2; }; \
		$(PYTHON) -c 'import ensurepip, sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || \
			{ echo "error: $(PYTHON): needs to be Python 3.11 with the module venv (Debian: apt install python3.11-venv)" >&2; exit 2; }; \
		echo "setting up .venv (about 6 GB, some minutes)"; \
		$(PYTHON) -m venv --clear .venv && \
		if command -v uv >/dev/null; then uv pip install --python $(BIN)/python --no-deps --requirement requirements.lock; \
		else $(BIN)/pip install --no-deps --requirement requirements.lock; fi && \
		$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable . && \
		$(BIN)/pip check && \
		cp requirements.lock .venv/made-from.lock; \
	}

# Removes what is made again in minutes; results are yours to delete.
clean:
	rm -rf .venv *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
