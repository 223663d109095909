# Every target of the project. CI calls these and nothing else.
PYTHON3 ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
PYTHON := $(VENV)/bin/python
PIP_INSTALL := $(PYTHON) -m pip install --disable-pip-version-check --no-compile --constraint constraints.txt
INSTALLED := $(VENV)/installed
BUNDLE := build/bundle
NATIVE := server/encoding/native/compiled/libencoder.so
SAMPLE := --catalogue sample/catalogue.jsonl
SERVICES := protos/chaja/v1/search.proto protos/chaja/v1/encode.proto protos/chaja/v1/info.proto protos/chaja/v1/admin.proto \
	protos/chaja/v1/catalog.proto protos/chaja/v1/suggest.proto protos/chaja/v1/synonym.proto protos/chaja/v1/merchandising.proto \
	protos/chaja/v1/feedback.proto

# If this were set, each process would again compile every module that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "%-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: install
install: $(INSTALLED) ## Create .venv with everything, at the versions of constraints.txt

$(INSTALLED): pyproject.toml constraints.txt
	@echo "Creating $(VENV) with $(PYTHON3): a few minutes the first time, torch is large"
	$(PYTHON3) -m venv --clear $(VENV)
	$(PIP_INSTALL) --quiet pip
	$(PIP_INSTALL) --editable . $(addprefix --group ,otel postgresql ray export tune kiwi loadtest site dev)
	@touch $@

.PHONY: native
native: $(NATIVE) ## Compile the native encoder, if the CPU can run it
	@test -e $(NATIVE) || $(PYTHON) -m server.encoding.native.build

$(NATIVE): $(INSTALLED) $(wildcard server/encoding/native/*.[ch]) server/encoding/native/build.py
	@# Prints nothing if the CPU cannot run it: the file is then never made, and many targets run this again.
	@if $(PYTHON) -c 'from server.encoding.native.library import cpu_can_run; exit(not cpu_can_run())'; \
		then $(PIP_INSTALL) --quiet ziglang && $(PYTHON) -m server.encoding.native.build; fi

# Needs the native encoder first, but order-only: on a CPU that cannot run it, the file is never made.
$(BUNDLE)/manifest.json: $(wildcard export/*.py export/*/*.py export/*/*/*.py server/encoding/*.py) | $(NATIVE)
	$(PYTHON) -m export --out $(BUNDLE)

.PHONY: demo
demo: $(BUNDLE)/manifest.json ## Export the default model, serve the sample catalogue, search it, serve until Ctrl-C
	$(PYTHON) -m sample.demo --bundle $(BUNDLE) $(ARGS)

.PHONY: demo-check
demo-check: $(BUNDLE)/manifest.json ## Run the demo on free ports, and end after the searches
	$(PYTHON) -m sample.demo --bundle $(BUNDLE) --check --listen 127.0.0.1:0 --metrics 127.0.0.1:0

.PHONY: serve
serve: $(BUNDLE)/manifest.json ## Serve the sample catalogue
	$(PYTHON) -m server --bundle $(BUNDLE) $(SAMPLE) --synonyms sample/synonyms.txt $(ARGS)

.PHONY: evaluate
evaluate: $(BUNDLE)/manifest.json ## Measure search with the default bundle on the sample's labelled queries
	$(PYTHON) -m export evaluate --bundle $(BUNDLE) $(SAMPLE) --queries sample/queries.jsonl $(ARGS)

.PHONY: test
test: $(BUNDLE)/manifest.json ## Run the whole suite: tests that measure time one at a time, the others on all cores
	@# One process per core, so one OpenMP thread in each: more would spin and wait for each other.
	@# In the order of the folders, the short tests come last. By default, files with few but slow tests would.
	@failed=0; \
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder -m "not alone" || failed=1; \
	$(PYTHON) -m pytest -m alone || failed=1; \
	exit $$failed

.PHONY: test-random
test-random: $(BUNDLE)/manifest.json ## Run the property tests with new random examples, and more of them than make test
	HYPOTHESIS_PROFILE=random OMP_NUM_THREADS=1 $(PYTHON) -m pytest --numprocesses auto --dist loadfile --timeout 3600 -m "hypothesis and not alone" $(ARGS)

.PHONY: kill
kill: $(NATIVE) ## Kill a server in 200 bursts of writes, and check that no write is lost; make test does so in 40
	DURABILITY_BURSTS=200 $(PYTHON) -m pytest tests/integration/durability/test_kill.py $(ARGS)

.PHONY: bench
bench: $(NATIVE) ## Compare the encoder with other ways to run the model on one core; ARGS="--eval DIR --query-prefix TEXT" takes other queries
	$(PYTHON) -m benchmarks.encoding --json build/bench.json $(ARGS)

.PHONY: loadtest
loadtest: $(BUNDLE)/manifest.json ## Load-test the demo's server (starts one if none runs), and write build/loadtest/report.html
	$(PYTHON) -m sample.load --bundle $(BUNDLE) $(ARGS)

.PHONY: bench-loadtest
bench-loadtest: $(BUNDLE)/manifest.json h2load ## Measure the load tester: speed, punctuality, memory, against h2load
	$(PYTHON) -m benchmarks.generator --bundle $(BUNDLE) $(ARGS)

.PHONY: bench-serving
bench-serving: $(BUNDLE)/manifest.json ## Measure the server against its targets; ARGS="--only load" measures one part
	$(PYTHON) -m benchmarks.serving --bundle $(BUNDLE) --json build/bench-serving.json $(ARGS)

.PHONY: bench-retrieval
bench-retrieval: $(BUNDLE)/manifest.json ## Measure R@k of each mode of search; ARGS="--data DIR --split dev" takes a set in BEIR's layout
	$(PYTHON) -m benchmarks.retrieval --json build/bench-retrieval.json $(ARGS)

.PHONY: bench-evaluation
bench-evaluation: $(BUNDLE)/manifest.json ## Measure the time of an evaluation of 3,000 queries over 100,000 documents, after encoding
	$(PYTHON) -m benchmarks.evaluation --bundle $(BUNDLE) --json build/bench-evaluation.json $(ARGS)

.PHONY: bench-typed
bench-typed: $(BUNDLE)/manifest.json ## Measure R@k of queries with typing errors, wrong layouts and slang; ARGS="--data DIR" adds a set in BEIR's layout
	$(PYTHON) -m benchmarks.typed --json build/bench-typed.json $(ARGS)

.PHONY: bench-bootstrap
bench-bootstrap: $(BUNDLE)/manifest.json ## Measure what synthetic queries are worth as example queries; ARGS="--data DIR --split dev" takes a set in BEIR's layout
	$(PYTHON) -m benchmarks.bootstrap --json build/bench-bootstrap.json $(ARGS)

.PHONY: bench-index
bench-index: $(BUNDLE)/manifest.json ## Measure the index of vectors at several sizes; ARGS="--most 1000000" takes an hour the first time
	$(PYTHON) -m benchmarks.scale --json build/bench-index.json $(ARGS)

.PHONY: bench-shard
bench-shard: $(BUNDLE)/manifest.json ## Measure memory and searches of one shard; ARGS="--sizes 10000 300000" takes other sizes
	$(PYTHON) -m benchmarks.scale.shard --json build/bench-shard.json $(ARGS)

.PHONY: bench-sharding
bench-sharding: $(INSTALLED) ## Check that shards answer as one index does; ARGS="--documents 2000 --queries 100" takes fewer
	OMP_NUM_THREADS=1 $(PYTHON) -m benchmarks.sharding $(ARGS)

.PHONY: simulate-scale
simulate-scale: $(INSTALLED) ## Simulate clusters of such shards, after make bench-shard; ARGS="--rate 1000" changes an assumption
	$(PYTHON) -m benchmarks.simulation $(ARGS)

.PHONY: bench-feedback
bench-feedback: $(BUNDLE)/manifest.json ## Measure search before and after learn, with simulated clicks; ARGS="--data DIR --split dev" takes a set in BEIR's layout
	$(PYTHON) -m benchmarks.feedback --bundle $(BUNDLE) $(ARGS)

.PHONY: bench-suggest
bench-suggest: $(BUNDLE)/manifest.json ## Measure suggestions at 100,000 titles, on one core: the index, and a server
	$(PYTHON) -m benchmarks.suggest --bundle $(BUNDLE) --json build/bench-suggest.json $(ARGS)

.PHONY: bench-encode
bench-encode: $(BUNDLE)/manifest.json postgresql ## Measure bulk encoding with one worker and with two; ARGS="--documents 5000" takes fewer documents
	$(PYTHON) -m benchmarks.bulk --bundle $(BUNDLE) --json build/bench-encode.json $(ARGS)

.PHONY: bench-store
bench-store: $(BUNDLE)/manifest.json postgresql ## Measure the store in SQLite and in PostgreSQL, side by side
	$(PYTHON) -m benchmarks.store --bundle $(BUNDLE) --json build/bench-store.json $(ARGS)

.PHONY: bench-replicas
bench-replicas: $(BUNDLE)/manifest.json postgresql ## Kill three servers of one PostgreSQL, and restart it, under writes and searches; ARGS="--kills 30 --restarts 5"
	$(PYTHON) -m benchmarks.replicas --bundle $(BUNDLE) --json build/bench-replicas.json $(ARGS)

.PHONY: soak
soak: $(BUNDLE)/manifest.json ## Send every kind of call to one server for ARGS="--minutes 5", and check that nothing leaks
	$(PYTHON) -m benchmarks.serving.soak --bundle $(BUNDLE) $(ARGS)

.PHONY: lint
lint: $(INSTALLED) ## Check style, format, types, the layers of imports and the language
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy --num-workers auto
	@# The client runs on older versions of Python than the rest: requires-python in pyproject.toml.
	$(VENV)/bin/mypy --python-version 3.10 --package chaja
	$(VENV)/bin/lint-imports --no-logo
	$(VENV)/bin/codespell
	$(PYTHON) -m tools.prose_check

.PHONY: format
format: $(INSTALLED) ## Fix style and format
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

.PHONY: protos
protos: $(INSTALLED) ## Generate the stubs of the protocol
	rm -f protos/chaja/v1/*_pb2*
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(PYTHON) -m grpc_tools.protoc -I protos \
		--python_out=protos --mypy_out=quiet:protos protos/chaja/v1/*.proto
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(PYTHON) -m grpc_tools.protoc -I protos \
		--grpc_python_out=protos --mypy_grpc_out=quiet:protos $(SERVICES)

.PHONY: protos-check
protos-check: protos ## Fail if the committed stubs do not match the protos
	@test -z "$$(git status --porcelain -- protos)" || { git --no-pager diff -- protos; \
		echo "error: the stubs differ from the protos; commit what make protos writes"; exit 1; }

.PHONY: docs
docs: $(INSTALLED) ## Write the generated tables of the documents
	$(PYTHON) -m tools.doc_tables

.PHONY: dashboards
dashboards: $(INSTALLED) ## Write the dashboards of deploy/grafana
	$(PYTHON) -m deploy.grafana

.PHONY: docs-site
docs-site: $(INSTALLED) ## Build the documentation site in build/site; fail on a broken link or anchor
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict

.PHONY: wheel
wheel: $(INSTALLED) ## Build the wheel that other services install
	rm -f dist/chaja-*
	$(PYTHON) -m build --wheel --outdir dist .

.PHONY: wheel-check
wheel-check: wheel ## Install the wheel into an empty environment and use it
	rm -rf build/wheel-venv
	$(PYTHON3) -m venv build/wheel-venv
	build/wheel-venv/bin/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt dist/chaja-*.whl
	cd build && wheel-venv/bin/python ../tools/wheel_check.py

.PHONY: server-wheel
server-wheel: $(INSTALLED) ## Build the wheel of the server and the exporter, with the native encoder compiled
	rm -f dist/chaja_server-*
	PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(PYTHON) -m build --wheel --outdir dist deploy/wheel

.PHONY: server-wheel-check
server-wheel-check: server-wheel $(BUNDLE)/manifest.json ## Install that wheel into an empty environment, serve and search
	$(PYTHON) -m tools.server_wheel_check --python $(PYTHON3) --wheel dist/chaja_server-*.whl --bundle $(BUNDLE)

.PHONY: loadtest-wheel
loadtest-wheel: $(INSTALLED) ## Build the wheel of the load tester
	rm -f dist/chaja_loadtest-*
	PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(PYTHON) -m build --wheel --outdir dist deploy/loadtest_wheel

.PHONY: loadtest-wheel-check
loadtest-wheel-check: loadtest-wheel $(BUNDLE)/manifest.json ## Install that wheel into an empty environment, and load a server
	$(PYTHON) -m tools.loadtest_wheel_check --python $(PYTHON3) --wheel dist/chaja_loadtest-*.whl --bundle $(BUNDLE)

.PHONY: promtool
promtool: build/tools/usr/bin/promtool ## Extract promtool from Debian's package, for the tests that use it

build/tools/usr/bin/promtool:
	mkdir -p build/tools
	apt-get update -qq
	cd build/tools && apt-get download -qq prometheus && dpkg -x prometheus_*.deb . && rm prometheus_*.deb

.PHONY: h2load
h2load: build/tools/usr/bin/h2load ## Extract h2load from Debian's packages, for the tests that use it

build/tools/usr/bin/h2load:
	mkdir -p build/tools
	apt-get update -qq
	cd build/tools && apt-get download -qq nghttp2-client libnghttp2-14 libev4 libjemalloc2 && \
		for package in nghttp2-client_* libnghttp2-14_* libev4_* libjemalloc2_*; do dpkg -x $$package . && rm $$package; done

.PHONY: chromium
chromium: ## Install Chromium from Debian's package (as root), for the tests of the pages
	command -v chromium-headless-shell || { apt-get update -qq && \
		apt-get install -qq --yes --no-install-recommends chromium-headless-shell; }

.PHONY: postgresql
postgresql: ## Install PostgreSQL from Debian's package (as root), for the tests and benchmarks of the store
	ls /usr/lib/postgresql/*/bin/postgres || { apt-get update -qq && \
		apt-get install -qq --yes --no-install-recommends postgresql; }

.PHONY: systemd
systemd: ## Install systemd-analyze from Debian's package of systemd (as root), for the tests of the unit
	command -v systemd-analyze || { apt-get update -qq && apt-get install -qq --yes --no-install-recommends systemd; }

.PHONY: compose-schema
compose-schema: build/tools/usr/lib/python3/dist-packages/compose/config/compose_spec.json ## Extract the schema of Compose from Debian's docker-compose, for the tests that use it

build/tools/usr/lib/python3/dist-packages/compose/config/compose_spec.json:
	mkdir -p build/tools
	apt-get update -qq
	cd build/tools && apt-get download -qq docker-compose && dpkg -x docker-compose_*.deb . && rm docker-compose_*.deb

.PHONY: node
node: build/node/node ## Fetch Node, grpc-js and the schemas of the Prometheus operator, for the tests that use them

build/node/node: $(INSTALLED) $(addprefix tests/integration/interop/,package.json package-lock.json client.mjs)
	mkdir -p build/node
	cp tests/integration/interop/*.json tests/integration/interop/client.mjs build/node
	cd build/node && PATH="$(CURDIR)/$(VENV)/bin:$$PATH" npm ci --ignore-scripts --no-audit --no-fund
	ln -sf ../../$(VENV)/bin/node $@

.PHONY: lock
lock: ## Resolve constraints.txt again from pyproject.toml
	rm -rf build/lock-venv
	$(PYTHON3) -m venv build/lock-venv
	build/lock-venv/bin/python -m pip install --disable-pip-version-check --quiet --upgrade pip 'torch==2.13.0'
	build/lock-venv/bin/python -m pip install --disable-pip-version-check --quiet . $(addprefix --group ,otel postgresql native ray export tune kiwi loadtest site dev)
	build/lock-venv/bin/python -m pip freeze --all --exclude chaja | sed 's/+cpu//' > constraints.txt

.PHONY: size
size: ## Count the lines of Python, blank ones and comments included
	@for folders in server loadtest "tests benchmarks" export "sample tools"; do \
		printf '%7d  %s\n' "$$(git ls-files -- $$folders | grep '\.py$$' | xargs cat | wc -l)" "$$folders"; done

.PHONY: clean
clean: ## Remove what the other targets made here; ~/.cache/chaja (models) and your data/ stay
	rm -rf $(VENV) build dist $(NATIVE)
