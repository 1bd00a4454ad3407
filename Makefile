# Rostra's commands. `make` lists them. CI calls the same ones.

PORT ?= 8080
DATA ?= .rostra
FUZZ ?= 60000
STACK ?= MySQL MongoDB Redis
PYTHON := .venv/bin/python
PARALLEL := --numprocesses=3 --dist=loadfile --no-loadscope-reorder

.PHONY: help run fmt kind-up kind-down dev deploy undeploy generate lock check lint typecheck verify test test-servers test-integration test-e2e failures fuzz load bench soak drills pictures footprint images chart-package sbom audit clean

help: ## List the commands
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Develop

run: ## Run Rostra on this machine (PORT=8080 DATA=.rostra)
	@hack/setup run
	@exec $(PYTHON) -m rostra_stack --port $(PORT) --data $(DATA)

fmt: ## Format the code
	@hack/setup dev
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

##@ Cluster

kind-up: ## Make a cluster on this machine with development datastores (kind)
	@hack/kind-up

kind-down: ## Delete that cluster
	@kind delete cluster --name rostra

dev: ## Run Rostra in that cluster, and follow changes of the code (skaffold)
	@skaffold dev --kube-context kind-rostra --port-forward=user

deploy: ## Install or upgrade, and test (CONTEXT=… ENVIRONMENT=dev|staging|prod)
	@hack/deploy

undeploy: ## Remove the release; the databases stay (CONTEXT=…)
	@helm --kube-context "$${CONTEXT:?names the context of kubectl}" -n rostra uninstall rostra --wait

##@ Generate

generate: ## Generate the gRPC stubs, rules and dashboards, the chart's schema, README and goldens, and docs/failure-modes.md
	@hack/setup dev
	@hack/generate

lock: ## Write requirements*.lock anew (needs uv)
	@python3 hack/lock.py

##@ Check

check: lint typecheck verify ## Run all checks

lint: ## Check style
	@hack/setup dev
	@.venv/bin/ruff format --check --quiet .
	@.venv/bin/ruff check .

typecheck: ## Check types
	@hack/setup dev
	@.venv/bin/mypy services/*/rostra_* observability/rostra_*

verify: ## Check that what is generated is up to date
	@hack/setup dev
	@hack/verify

##@ Test

test: ## Run the tests (real databases join where they are found)
	@hack/setup dev
	@.venv/bin/pytest $(PARALLEL)

test-servers: ## Run the tests of the API with everything kept on real servers (STACK="MySQL MongoDB Redis")
	@hack/setup dev
	@ROSTRA_TEST_STACK="$(STACK)" .venv/bin/pytest $(PARALLEL) tests/e2e

test-integration: ## Install real databases where they can be had, then run the tests that use them
	@hack/setup dev
	@hack/install-servers
	@.venv/bin/pytest -m integration
	@$(MAKE) --no-print-directory test-servers
	@$(MAKE) --no-print-directory test-servers STACK="MariaDB MongoDB Valkey"

test-e2e: ## Run the golden journey on a real cluster (CONTEXT=… TAG=… REGISTRY=…)
	@hack/setup dev
	@ROSTRA_E2E_CONTEXT="$${CONTEXT:?names the context of kubectl to test on}" ROSTRA_E2E_TAG="$$TAG" \
	    ROSTRA_E2E_REGISTRY="$$REGISTRY" .venv/bin/pytest tests/e2e_cluster

failures: ## Play all of docs/failure-modes.md through, and call every operation under every fault
	@hack/setup dev
	@ROSTRA_TEST_FULL=1 .venv/bin/pytest tests/chaos/test_failure_modes.py

fuzz: ## Send 120,000 generated requests to the gateway and the services (FUZZ=..., ROSTRA_FUZZ_SEED=...)
	@hack/setup dev
	@ROSTRA_FUZZ_REQUESTS=$(FUZZ) .venv/bin/pytest -s tests/fuzz

load: ## Measure what the gateway adds to a provider's time, what background responses and telemetry cost, and overload
	@hack/setup dev
	@$(PYTHON) tests/load/latency.py
	@$(PYTHON) tests/load/event_log.py
	@$(PYTHON) tests/load/overload.py
	@$(PYTHON) tests/load/telemetry_cost.py
	@$(PYTHON) tests/load/conversation_length.py
	@$(PYTHON) tests/load/scaling.py
	@$(PYTHON) tests/load/grpc_cost.py
	@$(PYTHON) tests/load/ceiling.py

bench: ## Compare with peers that hack/install-peers has put here, and write docs/performance.md (~13 minutes)
	@hack/setup dev
	@$(PYTHON) tests/load/bench.py --write

soak: ## Run the tests under faults and the soak for ten minutes each (MINUTES=10)
	@hack/setup dev
	@ROSTRA_TEST_MINUTES=$(or $(MINUTES),10) .venv/bin/pytest -s tests/chaos/test_agreement.py tests/chaos/test_soak.py

drills: ## Break things and look at which alerts fire; evaluate each alert's cases over all rules
	@hack/setup dev
	@ROSTRA_TEST_MINUTES=1 .venv/bin/pytest tests/observability

pictures: ## Draw docs/pictures from the Prometheus of a stack in use, one provider of which fails (~2 minutes)
	@hack/setup dev
	@PYTHONPATH=observability:tests $(PYTHON) tests/observability/draw_pictures.py

footprint: ## Measure what each service needs in memory and CPU
	@hack/setup dev
	@$(PYTHON) tests/load/footprint.py

##@ Release

images: ## Build the images (TAG=… REGISTRY=…)
	@hack/images

chart-package: ## Package the chart into dist/
	@helm package charts/rostra --destination dist
sbom: ## Write build/sbom.json: what Rostra is made of, in CycloneDX
	@hack/supply-chain sbom

audit: ## Look for known weaknesses of the dependencies; says so when nobody can be asked
	@hack/supply-chain audit

clean: ## Remove the environment and what tools left behind; DATA stays
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	@find . -name __pycache__ -prune -exec rm -rf {} +
