# Every target sets up what it needs; nothing has to be prepared but make itself (scripts/bootstrap installs even that).
.DEFAULT_GOAL := help
.PHONY: help demo test lint format unit chart-test integration e2e test-nodes test-cgroup2 lifecycle faults faults-quick seeded-bugs bench cluster-up cluster-down crds docs image install lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## From a bare machine to a finished CiJob with its log on the screen
	@scripts/demo

test: ## Everything: lint, unit, integration and end-to-end tests
	@scripts/test

lint: ## Formatting, ruff, mypy, import layers, shellcheck, fresh CRDs
	@scripts/run scripts/lint

format: ## Repair what ruff can repair
	@scripts/run ruff format .
	@scripts/run ruff check --fix .

unit: ## Unit tests (no cluster; the chart's need Helm, which is built if missing)
	@scripts/run pytest tests/unit --numprocesses auto

chart-test: ## The unit tests of the Helm chart only
	@scripts/run pytest tests/unit/chart

integration: cluster-up ## Tests against a real API server, without the operator
	@scripts/run scripts/stop-operator
	@scripts/run pytest tests/integration

e2e: install ## Tests of everything together, on the development cluster
	@python3 tests/cluster stand-ins
	@scripts/run scripts/e2e

test-nodes: ## Tests of what befalls Pods on their nodes: drains, lost nodes, full disks; a second node joins the cluster
	@scripts/bootstrap
	@python3 tests/cluster up --nodes 2
	@$(MAKE) --no-print-directory install
	@scripts/run pytest tests/e2e/test_nodes.py

test-cgroup2: ## Tests on a node with cgroup v2: a virtual machine that joins the development cluster, slow
	@scripts/bootstrap
	@python3 tests/cluster up --vm
	@scripts/run pytest tests/cgroup2

lifecycle: ## Tests of the development cluster itself, on one beside it: crashes in `up`, traces after `down`; the chart under Helm
	@scripts/run pytest tests/cluster_lifecycle

faults: ## Everything that can go wrong between operator and API server, one fault at a time, on fake nodes
	@scripts/run pytest tests/faults

faults-quick: ## The part of it that `make test` runs
	@scripts/run pytest tests/faults -m quick

seeded-bugs: ## Bugs put into a copy of the operator, one at a time: does a test find them?
	@scripts/run python -m tests.faults.seeded

bench: install ## Measure start and verdict times, limits and open ports, beside how others start Docker-in-Docker
	@scripts/run python -m tests.bench

cluster-up: ## Bring up the development cluster, or repair it
	@scripts/bootstrap
	@python3 tests/cluster up

cluster-down: ## Take the development cluster away (caches stay)
	@python3 tests/cluster down

crds: ## Write crds/, the chart's copy and docs/reference.md from the models
	@scripts/run python -m cijob.crdgen --write

docs: ## Write docs/cli.md and the table of GitLab's keys from the code
	@scripts/run python -m cijob.cli.manual --write
	@scripts/run python -m cijob.importers.gitlab.keys --write

image: cluster-up ## Build the operator's image and give it to the development cluster
	@scripts/image

install: cluster-up ## Build the operator and install its chart into the development cluster
	@scripts/install

lock: ## Write the locks anew after a change of dependencies in pyproject.toml
	@scripts/run scripts/lock

clean: ## Remove what tools left in the work tree
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
