# Every command of the project. CI calls the same targets.

CARGO ?= cargo

# Topics of e2e that run before a Dashboard too. The others ask nothing of Tyk, or nothing that depends on its kind.
PRO = annotations backends bad_input conformance drift handover ing kinds lifecycle oas ports process routing \
      templates tls

MDBOOK_VERSION = 0.5.4
MDBOOK = target/mdbook-$(MDBOOK_VERSION)/bin/mdbook

# Where the book finds what the pages link to outside of docs/.
SOURCE = https://github.com/tyk-ingress/tyk-ingress/blob/main

.PHONY: all test check unit e2e assets bench load deny docs update fmt

all: test

## test: everything that CI runs
test: check unit e2e

## check: format and lints
check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

## unit: tests that need nothing but Rust
unit:
	$(CARGO) test --workspace --exclude e2e --locked

## e2e: tests on a real Kubernetes API, with a gateway and with a Dashboard; builds it first, once, which needs Go
e2e: assets
	$(CARGO) build --locked
	$(CARGO) test --package e2e --locked
	env -u TYK_GATEWAY_URL E2E_TYK=pro $(CARGO) test --package e2e --locked $(PRO:%=--test %)

## assets: kube-apiserver, kube-controller-manager and etcd, unless KUBEBUILDER_ASSETS names them; Helm, unless HELM does
assets:
	$(CARGO) run --package e2e --bin e2e-assets --locked

## bench: times and memory of the pure parts
bench:
	$(CARGO) bench --locked --bench pure --bench memory

## load: the whole way with PATHS Ingresses, against a simulator or the gateway that TYK_GATEWAY_URL names
PATHS ?= 1000
load: assets
	$(CARGO) build --release --locked --package tyk-ingress
	$(CARGO) run --release --locked --package e2e --bin e2e-load -- --paths $(PATHS) --json target/load.json

## deny: licences, advisories and duplicate versions of the dependencies; needs cargo-deny
deny:
	$(CARGO) deny --all-features check

## docs: the pages as a book, target/docs/index.html, with search and without anything from elsewhere
docs: $(MDBOOK)
	rm -rf target/docs target/docs-src
	cp -R docs target/docs-src
	for page in docs/*.md; do sed 's#](\.\./#]($(SOURCE)/#g' $$page > target/docs-src/$${page#docs/} || exit 1; done
	$(MDBOOK) build target/docs-src --dest-dir "$(CURDIR)/target/docs"

$(MDBOOK):
	$(CARGO) install mdbook --version $(MDBOOK_VERSION) --locked --no-default-features --features search \
	  --root target/mdbook-$(MDBOOK_VERSION)

## update: write golden files and generated manifests anew; read the difference before you commit it
update:
	UPDATE=1 $(CARGO) test --workspace --exclude e2e --locked
	UPDATE=1 $(CARGO) test --package e2e --locked --test chart manifest

## fmt: format the code
fmt:
	$(CARGO) fmt --all
