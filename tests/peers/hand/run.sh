#!/usr/bin/env bash
# Our tendons and muscles against MuJoCo's at 7,000 random poses, with both sets of parameters. About a minute.
#
#   [HAND=PROGRAM] ./run.sh FOLDER [SEED [COUNT]]      FOLDER: made by setup.sh, or made here
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,4p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
folder=$1 seed=${2:-7} count=${3:-7000}
"$here/setup.sh" "$folder"
model=$here/../../../assets/hand/myohand.toml
poses=$(mktemp --suffix .json)
trap 'rm -f "$poses"' EXIT
for set in "" "--calibrated $model"; do
  # shellcheck disable=SC2086 # two words, or none
  "$folder/bin/python" "$here/golden.py" "$seed" "$count" $set --out "$poses"
  "$folder/bin/python" "$here/sweep.py" "$poses" ${HAND:+--hand "$HAND"}
done
