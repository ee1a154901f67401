#!/usr/bin/env bash
# Installs the peer of the hand (MyoSuite 2.12.2 on MuJoCo 3.6.0) into a virtual environment of its own.
#
#   ./setup.sh FOLDER            then: FOLDER/bin/python sweep.py golden.json
#
# About 300 MB on disk, under half a minute, no compiler, Python 3.11 to 3.13 ($PYTHON chooses another interpreter).
# Exact pins without dependency resolution: this is what `import myosuite`, the hand's environments and
# mujoco.rollout import. Left out because only rendering, video or training want them:
# h5py, click, pillow, imageio-ffmpeg, pink-noise-rl, etils, pyopengl.
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: $0 FOLDER" >&2; exit 2; }
folder=$1
python=${PYTHON:-python3}

if [ -x "$folder/bin/python" ] && "$folder/bin/python" -c '
from importlib.metadata import version
assert version("myosuite") == "2.12.2" and version("mujoco") == "3.6.0" and version("gymnasium") == "1.2.3"
import termcolor, git, imageio' 2>/dev/null; then
    echo "already there: $folder" >&2
    exit 0
fi

"$python" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
    myosuite==2.12.2 mujoco==3.6.0 gymnasium==1.2.3 numpy==2.4.6 \
    absl-py==2.5.1 cloudpickle==3.1.2 farama-notifications==0.0.6 flatten-dict==0.5.0 gitdb==4.0.12 gitpython==3.2.1 \
    glfw==2.11.0 imageio==2.38.1 packaging==26.3 smmap==5.0.3 termcolor==3.3.0 typing-extensions==4.16.0
GIT_PYTHON_REFRESH=quiet "$folder/bin/python" -c '
import mujoco, mujoco.rollout, myosuite, gymnasium
print("myosuite", myosuite.__version__, "mujoco", mujoco.__version__, "gymnasium", gymnasium.__version__)' >&2
