#!/usr/bin/env bash
# The whole path once: homes → episodes → text → a finetuned model, with and without EWC → a table and report.html.
set -euo pipefail

usage() {
  cat <<'END'
The whole path once: simulate homes, finetune a language model on what happened, measure it on homes it never saw.

  ./habitus quickstart [--json] [--seed N] [--size full|small] [--out DIR]

  --json        the last line of standard output is one JSON object
  --seed N      seed of everything that chance decides (default 1)
  --size small  a few minutes for a look at the machinery; its figures mean little (default full, about 15 minutes)
  --out DIR     where to write (default runs/quickstart-TIME); run again with the same DIR, it goes on where it stopped

Example: ./habitus quickstart --out runs/first
END
}

json= seed=1 size=full out=
while [ $# -gt 0 ]; do
  case "$1" in
    --json) json=--json ;;
    --seed) seed=${2:?--seed needs a number}; shift ;;
    --size) size=${2:?--size needs full or small}; shift ;;
    --out) out=${2:?--out needs a folder}; shift ;;
    --help | -h) usage; exit 0 ;;
    *) echo "quickstart: unknown option \`$1\`" >&2; usage >&2; exit 2 ;;
  esac
  shift
done
case "$seed" in '' | *[!0-9]*) echo "quickstart: --seed takes a whole number, found \`$seed\`" >&2; exit 2 ;; esac
#         plans explore  test plans, explore   training tokens, Fisher documents     questions a task, plans, documents
case "$size" in
  full) set -- 600 160     160 40                110000 64                             100 40 40 ;;
  small) set -- 40 12       24 8                  1500 4                                 6 4 4 ;;
  *) echo "quickstart: --size takes full or small, found \`$size\`" >&2; exit 2 ;;
esac
plans=$1 explore=$2 test_plans=$3 test_explore=$4 tokens=$5 fisher=$6 questions=$7 plan_tasks=$8 documents=$9

if [ -z "$out" ]; then
  out=runs/quickstart-$(date +%Y%m%d-%H%M%S)
  mkdir -p runs && ln -sfn "${out#runs/}" runs/last
fi
say() { printf '\n[%d:%02d] %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$1" >&2; }
habitus() { "$HABITUS_ROOT/habitus" "$@"; }
# Threads of one process wait for each other more than they help: two runs side by side use two cores better.
export OMP_NUM_THREADS=1

say "Setting up"
habitus setup
say "Building (the first time takes minutes)"
habitus build

say "Collecting experience: plans and exploration in training homes, then in homes kept for evaluation"
mkdir -p "$out"
homes() { habitus scenario list --json | python3 -c 'import json, sys
want = sys.argv[1] == "evaluation"
print(*(s["name"] for s in json.load(sys.stdin)["scenarios"] if "rooms" in s and s["evaluation_only"] == want), sep="\n")' "$1"; }
mapfile -t train < <(homes training)
mapfile -t test < <(homes evaluation)
collect() { # FOLDER POLICY EPISODES STEPS HOMES…
  local folder=$1 policy=$2 episodes=$3 steps=$4
  shift 4
  habitus rollout run "$@" --policy "$policy" --episodes "$episodes" --max-steps "$steps" --seed "$seed" \
    --fidelity physical --out "$out/episodes/$folder" >&2
}
collect plans planner "$plans" 40 "${train[@]}"
collect explore random "$explore" 60 "${train[@]}"
collect test_plans planner "$test_plans" 40 "${test[@]}"
collect test_explore random "$test_explore" 60 "${test[@]}"

say "Turning experience into text"
[ -e "$out/text/examples.jsonl" ] || habitus data export "$out/episodes/plans" "$out/episodes/explore" --format examples \
  --tokens "$tokens" --seed "$seed" --general-text "$HABITUS_CACHE/factbook" --out "$out/text" >&2

say "Finetuning twice, side by side: with EWC, and without it as the control"
finetune() { # NAME SETTINGS…
  local run=$out/$1 resume=
  shift
  [ ! -e "$run/config.toml" ] || resume=--resume
  habitus train "$HABITUS_ROOT/recipes/language_finetune.toml" --out "$run" $resume --seed "$seed" --threads 1 \
    --set "data=[\"$out/text/examples.jsonl\"]" --set "tokens=$tokens" --set "ewc.documents=$fisher" "$@" >&2
}
finetune without_ewc --set ewc.lambda=0.0 &
without=$!
trap 'kill $without 2>/dev/null || true' EXIT
finetune finetuned --set "ewc.text=\"$out/text/fisher.jsonl\""
wait $without
trap - EXIT

say "Measuring: the base model, the finetuned one, and the one without EWC"
habitus evaluate language --run finetuned="$out/finetuned" --run without_ewc="$out/without_ewc" \
  --stores "$out"/episodes/* --items "$questions" --plans "$plan_tasks" --documents "$documents" --seed "$seed" --workers 2 --out "$out" $json
say "Done: $out/report.html"
