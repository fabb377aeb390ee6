# Everything that is needed beside Go, make and git is fetched by these targets; nothing has to be installed by hand.
# The clients need Python 3 and Node.js besides.

# Where the environment says GOTOOLCHAIN=local, the toolchain line of go.mod would be ignored.
export GOTOOLCHAIN := go1.26.11

BUF    := go tool -modfile=tools/go.mod buf
LINT   := go tool -modfile=tools/lint/go.mod golangci-lint
FUZZTIME ?= 30s

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

.PHONY: run
run: build ## Build and start the service on loopback, with data in ./data
	./bin/callnorm serve

.PHONY: build
build: ## Build bin/callnorm
	go build -o bin/callnorm ./cmd/callnorm

.PHONY: test
test: ## Run all tests
	go test ./...

.PHONY: race
# What one goroutine does by itself, such as reading a thousand damaged bodies, is left to make test.
race: ## Run the tests of what is concurrent under the race detector
	go test -race ./internal/...
	go test -race -skip 'TestHostileBodiesAreKeptAsTheyCame|TestWhateverComesInIsKept' ./server/...
	go test -race -run 'TestAdapter/(cases|pure)' ./adapters/...
	go test -race -skip TestEveryHistoryOfACall ./cmd/...

.PHONY: lint
lint: protoimports ## Check the code and the contract
	$(LINT) run ./...
	$(BUF) lint
	$(BUF) format --diff --exit-code proto
	@tag=$$(git describe --tags --abbrev=0 2>/dev/null) || { echo "no release yet: the contract may still change"; exit 0; }; \
		rm -rf .build/released && mkdir -p .build/released/.build && \
		git archive "$$tag" proto buf.yaml | tar -x -C .build/released && \
		cp -R .build/protoimports .build/released/.build/ && \
		echo "buf breaking, against $$tag" && $(BUF) breaking --against .build/released

.PHONY: generate
generate: protoimports ## Generate gen/ from proto/, and docs/coverage/ from the adapters
	$(BUF) generate
	go test -count 1 ./adapters/catalog -update

.PHONY: checkgenerate
checkgenerate: generate ## Fail when gen/ is not what proto/ says, or docs/coverage/ not what the adapters do
	@changed=$$(git status --porcelain -- gen docs/coverage); test -z "$$changed" || { echo "what is generated is out of date; run make generate and commit:"; echo "$$changed"; exit 1; }

# The files that our contract imports, printed from the descriptors of our dependencies: no registry is needed.
.PHONY: protoimports
protoimports:
	@go run -C tools ./protoimports ../.build/protoimports

# docs/load.md tells what the second part measures, docs/scale.md what the third one does. With a million calls both fill 16 GB of disk
# and take the better part of an hour; make bench CALLS=50000 is a quick look. DIR keeps what was filled for the next time.
CALLS ?= 1000000
DIR   ?=
.PHONY: bench
bench: build ## Measure normalizing and the intake path, the service under load, and the service with CALLS calls beside one with few
	go test -run '^$$' -bench . -benchmem ./adapters/... ./internal/... ./server/...
	@dir="$(DIR)"; test -n "$$dir" || { dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && trap 'exit 130' INT TERM; }; \
		go run ./test/load -binary bin/callnorm -dir "$$dir" -calls $(CALLS) && \
		go run ./test/scale -binary bin/callnorm -dir "$$dir" -large $(CALLS)

.PHONY: load
load: build ## Measure the service under load, on an empty store: three minutes at most
	go run ./test/load -binary bin/callnorm

.PHONY: drift
drift: ## Write down what a webhook costs in allocations, statements and fsyncs; make test fails when that grows
	go test -count 1 ./test/drift -update

.PHONY: fuzz
fuzz: ## Fuzz each target for FUZZTIME
	@for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			echo "$$package $$target"; go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x $$package || exit 1; \
		done; \
	done

# docs/hostile.md tells what each part promises. This is the short run; make hostile BODIES=1000000 ROUNDS=5 SPAN=5s is the long one.
BODIES ?= 20000
SLOW   ?= 2000
ROUNDS ?= 3
SPAN   ?= 3s
.PHONY: hostile
hostile: build ## Attack the binary: BODIES mutated webhooks, gzip bombs, copies, slow senders
	go run ./test/hostile -binary bin/callnorm -bodies $(BODIES) -bomb -copies 1000 -slow $(SLOW) -rounds $(ROUNDS) -span $(SPAN)

# docs/follow.md tells what is promised. This is the short run; the long one is
# make follow EVENTS=200000 READERS=50 DISTURBANCES=40 STALL=3s
EVENTS       ?= 5000
READERS      ?= 20
RESTARTS     ?= 3
DISTURBANCES ?= 10
STALL        ?= 500ms
.PHONY: follow
follow: build ## Follow the outcomes of EVENTS webhooks with READERS that are disturbed, over RESTARTS by kill -9: nothing is skipped
	go run ./test/follow -binary bin/callnorm -events $(EVENTS) -readers $(READERS) -restarts $(RESTARTS) \
		-disturbances $(DISTURBANCES) -stall $(STALL)

# docs/torture.md tells what is promised. This is the long run, as root, of an hour or so; the short one, which needs neither root nor
# strace, is make torture PARTS=crashes,second,terminate,damage CUTS=0 KILLS=5 DELIVERIES=5000 DAMAGES=10
PARTS      ?= crashes,control,full,faulty,second,terminate,damage
CUTS       ?= 200
KILLS      ?= 200
DELIVERIES ?= 1000000
DAMAGES    ?= 200
.PHONY: torture
torture: build ## Break the machine under the binary: CUTS power cuts, KILLS kills, full and failing disks, DAMAGES to files (root, strace, e2fsprogs)
	go run ./test/torture -binary bin/callnorm -parts $(PARTS) -cuts $(CUTS) -kills $(KILLS) -deliveries $(DELIVERIES) -damages $(DAMAGES)

# What the clients are generated and run with, installed again whenever what is pinned changes.
clients/python/.venv/installed: clients/python/requirements.txt
	@python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "the Python client needs python3, 3.10 or newer, with its venv module (Debian: python3-venv)"; exit 1; }
	python3 -m venv --clear clients/python/.venv
	clients/python/.venv/bin/python -m pip install -q --disable-pip-version-check --only-binary=:all: -r clients/python/requirements.txt
	@touch $@

clients/typescript/node_modules/installed: clients/typescript/package.json clients/typescript/package-lock.json
	@node -e 'process.exit(Number(process.versions.node.split(".")[0] < 20))' && npm --version >/dev/null || \
		{ echo "the TypeScript client needs Node.js, 20 or newer, with npm"; exit 1; }
	cd clients/typescript && npm ci
	@touch $@

.PHONY: clients
clients: protoimports clients/python/.venv/installed clients/typescript/node_modules/installed ## Generate the Python and TypeScript clients
	$(BUF) generate --template buf.gen.clients.yaml

.PHONY: checkclients
checkclients: build clients ## Run the example of each client against a live server
	clients/check.sh bin/callnorm
