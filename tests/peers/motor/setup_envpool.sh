#!/usr/bin/env bash
# Installs EnvPool 1.2.5 into a virtual environment of its own: MyoSuite's environments (2.11.6) in C++ on MuJoCo 3.6.0.
#
#   ./setup_envpool.sh FOLDER    then: loop_speed.py … --envpool FOLDER
#
# About 730 MB on disk, Python 3.11 to 3.13 ($PYTHON chooses another interpreter). Exact pins without dependency resolution: what
# `import envpool` and the hand's environments need.
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: $0 FOLDER" >&2; exit 2; }
folder=$1
check='import envpool; assert envpool.__version__ == "1.2.5" and "MyoHandAirplaneFly-v0" in envpool.list_all_envs()'
if [ -x "$folder/bin/python" ] && "$folder/bin/python" -c "$check" 2>/dev/null; then
    echo "already there: $folder" >&2
    exit 0
fi
"${PYTHON:-python3}" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
    envpool==1.2.5 envpool-assets==0.3.0 envpool-assets-mujoco-large==0.3.0 gymnasium==1.2.3 numpy==2.4.6 \
    cloudpickle==3.1.2 cycler==0.12.1 dm-env==1.6 farama-notifications==0.0.6 fonttools==4.68.0 kiwisolver==1.5.1 \
    matplotlib==3.11.2 optree==0.20.0 packaging==26.3 pillow==13.0.0 pyparsing==3.3.3 python-dateutil==4.0.0 \
    typing-extensions==4.16.0
"$folder/bin/python" -c "$check"
