#!/usr/bin/env bash
# Every check that a change must pass. Stops at the first one that fails.
set -euo pipefail
cd "$HABITUS_ROOT"
section() { printf '\n== %s (%s s)\n' "$1" "$SECONDS"; }

section "set-up"
python3 scripts/setup.py
# Where packages cannot be installed, the test of the window says what it lacks.
python3 scripts/setup.py --gui || true
section "format"
cargo fmt --all --check
section "lints"
cargo clippy --quiet --workspace --all-targets --locked -- --deny warnings
section "documentation"
RUSTDOCFLAGS="--deny warnings" cargo doc --quiet --workspace --no-deps --locked
section "build"
cargo build --quiet --workspace --all-targets --locked
section "tests"
if cargo nextest --version >/dev/null 2>&1; then
  cargo nextest run --workspace --locked --no-fail-fast --status-level slow --final-status-level fail
  section "documentation examples"
  cargo test --quiet --workspace --doc --locked
else
  cargo test --quiet --workspace --locked --no-fail-fast
fi
section "done"
