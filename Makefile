# Thin on purpose: what a target does stands in the script that it calls. `make help` lists the targets.
SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help run test lint bench venv venv-dev

options = $(if $(VENV),--venv "$(VENV)") $(if $(PYTHON),--python "$(PYTHON)") \
  $(if $(TORCH_INDEX),--torch-index "$(TORCH_INDEX)") $(if $(WHEELS),--wheels "$(WHEELS)")
export SV_PYTHON := $(if $(VENV),$(abspath $(VENV))/bin/python,$(SV_PYTHON))
scripts = $(wildcard *.sh conf/*.sh utils/*.sh steps/*.sh local/*.sh egs/*/*/*.sh .ci/run)

help: ## show this
	@sed -n 's/^\([a-z]*\):.* ## /make \1\t/p' $(MAKEFILE_LIST)
	@echo 'Variables: ARGS, PYTHON, VENV (folder, default .venv), TORCH_INDEX (URL), WHEELS (folder); see CONTRIBUTING.md'

venv: ## make .venv with the pinned requirements, or bring it up to date
	@utils/make_venv.sh $(options)

venv-dev:
	@utils/make_venv.sh --dev true $(options)

run: venv ## train and test on the built-in mini corpus; ARGS="--stage 4" go to ./run.sh
	@./run.sh $(ARGS)

test: venv-dev ## run all tests; ARGS="-k config" go to pytest
	@. ./path.sh && OMP_NUM_THREADS=1 python -m pytest -n 2 --dist loadfile $(ARGS)

lint: venv-dev ## check the style of Python, shell and YAML
	@. ./path.sh && ruff check . && ruff format --check . && shellcheck -x $(scripts) && yamllint --strict conf egs

bench: venv ## run every benchmark: one line of JSON per figure
	@. ./path.sh && for script in bench/*.py; do python "$$script" || exit 1; done
