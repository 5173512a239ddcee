# The same commands for developers and for CI. `just` lists them.

default:
    @just --list

# Format, lints, unit and property tests: everything that needs no real parts.
check:
    ./test quick

# Everything, with real Prometheus and a real Kubernetes API.
e2e:
    ./test

# The simulated shop.
demo:
    cargo run --release -- demo

# Criterion benches, one per detector.
bench:
    cargo bench -p homeostat-benches

# Benches as tests: each runs once, so that none rots.
bench-test:
    cargo bench -p homeostat-benches -- --test

# homeostat beside its peers on one thread, then its own figures; `--dataset DIR` adds what needs labelled data.
bench-peers *args:
    benches/peers/compare {{args}}
    benches/figures --besides-peers {{args}}

# How well homeostat and its peers detect, on the same labelled series, side by side: `--dataset DIR`.
judge-peers *args:
    benches/peers/judge {{args}}

# What the comparison rests on: adapters are causal, medians are medians.
peers-test:
    benches/peers/install
    "$(benches/peers/install --venv)/bin/python" -B -m unittest discover benches/peers

# Prints every figure that is quick to measure, as `figure NAME VALUE UNIT`.
figures:
    benches/figures

# Builds every crate alone, which finds a borrowed feature.
crates:
    for one in crates/*/; do (cd $one && cargo check --quiet) || exit 1; done

# The remediation protocol as a model: every state within three minutes with any two faults; some minutes.
model *args:
    cargo run --release --quiet -p homeostat-proofs --bin model -- {{args}}

# A hundred thousand fault schedules, each twice; some ten minutes.
schedules *args:
    cargo run --release --quiet -p homeostat-proofs --bin schedules -- {{args}}

# Kills the process at every row of the journal of every action, on a real API server; an hour or more.
k9:
    HOMEOSTAT_FAULTS_EVERY=1 cargo test --release -p homeostat-tests --test actions -- --exact faults::k9::killed_at_rows_of_the_journal_nothing_is_done_twice_forgotten_or_done_elsewhere --nocapture

# Every action through a proxy that does everything wrong, on a real API server; some hours.
sieve:
    HOMEOSTAT_FAULTS_EVERY=1 cargo test --release -p homeostat-tests --test actions -- --exact faults::sieve::whatever_the_api_server_says_nothing_is_done_twice_forgotten_or_done_elsewhere --nocapture

# How long deciding takes, what a storm comes to, how soon the kill switch holds.
deciding:
    cargo run --release --quiet -p homeostat-proofs --bin deciding

# What a first build costs, in CPU seconds; some ten minutes.
build-cost:
    benches/build_cost

# How the service starts on thousands of workloads: `--workloads N`, `--compare-bundle true`.
start-bench *args:
    cargo build --release --quiet -p homeostat -p homeostat-benches --bin homeostat --bin start_bench
    target/release/start_bench {{args}}

# Makes the shipped bundle again, after a wanted change of detection or of the shop.
models:
    rm -f models/shop.tar.zst
    cargo run --release -- train datasets/shop --config.file models/shop.yaml --output models/shop.tar.zst --source-date-epoch 1767744000

# Draws the pictures of docs/guides/incidents.md again, after a wanted change of detection.
pictures *args:
    cargo build --release --quiet -p homeostat
    docs/pictures/draw.py --homeostat target/release/homeostat {{args}}

# Licences and advisories.
deny:
    cargo deny check

# Rewrites golden files after a wanted change.
bless:
    BLESS=1 cargo test --workspace
