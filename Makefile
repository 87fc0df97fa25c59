# Each target installs what it needs: Debian packages with apt-get where they are missing, Python packages into .venv from
# the lock file. Doing so again is fast and changes nothing.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test unit lint bench docs lock clean debian images-debian databases-debian bench-tools
.PHONY: test-cluster cluster-up cluster-down cluster-build cluster-debian

demo: debian $(STAMP)
	$(BIN)/outgate demo

# Several at once, as they wait for something half of the time; those of one file share a mesh.
test: lint images-debian databases-debian
	$(BIN)/pytest -q --timeout 120 --numprocesses 3 --dist loadfile

# A real Kubernetes of one node, from its sources; or the one that OUTGATE_TEST_KUBECONFIG names. Of ours, there are two:
# most of these tests wait most of the time.
test-cluster: $(if $(OUTGATE_TEST_KUBECONFIG),$(STAMP),cluster-build)
	$(BIN)/pytest -q tests/cluster --timeout 300 $(if $(OUTGATE_TEST_KUBECONFIG),,$(TWO_CLUSTERS))

TWO_CLUSTERS := --numprocesses 2 --dist loadfile --no-loadscope-reorder

# eval "$(make -s cluster-up)" sets KUBECONFIG.
cluster-up: cluster-build
	@$(BIN)/python -m tests.cluster up

cluster-down: $(STAMP)
	@$(BIN)/python -m tests.cluster down

cluster-build: cluster-debian images-debian $(STAMP)
	@$(BIN)/python -m tests.cluster build

lint: debian $(STAMP)
	$(BIN)/ruff check src tests bench images
	$(BIN)/ruff format --check src tests bench images
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: debian bench-tools $(STAMP)
	$(BIN)/python -m bench

docs: $(STAMP)
	$(BIN)/python -c "from pathlib import Path; from outgate.cli.reference import write; write(Path('docs'))"

# Package names after the colon, what shows that they are there before it.
debian:
	@./scripts/debian nft:nftables iptables:iptables ip:iproute2 curl:curl /etc/ssl/certs/ca-certificates.crt:ca-certificates

# What the images are made of.
images-debian: debian
	@./scripts/debian /usr/bin/python3.11:python3.11 /etc/protocols:netbase

# Which tests run outside.
databases-debian:
	@./scripts/debian '/usr/lib/postgresql/*/bin/postgres:postgresql' redis-server:redis-server

cluster-debian: databases-debian
	@./scripts/debian etcd:etcd-server containerd:containerd runc:runc /usr/lib/cni/bridge:containernetworking-plugins \
	  conntrack:conntrack iptables:iptables ipset:ipset busybox:busybox-static nft:nftables ip:iproute2 curl:curl /etc/ssl/certs/ca-certificates.crt:ca-certificates

bench-tools:
	@./scripts/debian wrk:wrk /usr/sbin/nginx:nginx-light

$(STAMP): requirements.lock pyproject.toml
	@./scripts/venv $(VENV)
	@touch $@

# Resolves the versions anew.
lock: $(STAMP)
	$(BIN)/pip install -q pip-tools
	$(BIN)/pip-compile -q --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	  --no-header --extra demo --extra dev --output-file requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
