#!/usr/bin/env bash
# run.sh VENV: whether PyTorch makes the same embeddings of an encoder's file as habitus, to 1e-5, for encoders of vectors
# and of images (small, paper_84, paper_120) as they start, and for a small one that was trained. VENV is made by ../language/setup.sh; needs what `./habitus build` needs.
set -euo pipefail
[ $# -eq 1 ] || { sed -n '2,3p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd); venv=$(cd "$1" && pwd)
out=$(mktemp -d); trap 'rm -rf "$out"' EXIT
(cd "$here/../../.." && HABITUS_PEER_OUT=$out cargo test -q --locked -p trainers -p dataset --test trainers -- \
  --ignored encoders_for_pytorch) > "$out/log" 2>&1 || { cat "$out/log" >&2; exit 1; }
failed=0
for file in "$out"/*_embeddings.safetensors; do
  PYTHONDONTWRITEBYTECODE=1 "$here/../language/run.sh" "$venv" "$here/check_encoder.py" "${file%_embeddings.safetensors}.safetensors" "$file" || failed=1
done
exit $failed
