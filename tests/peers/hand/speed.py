#!/usr/bin/env python3
"""How fast MuJoCo 3.6.0 steps what `./habitus bench hand` steps, in the same minutes: CPU microseconds a step, and the ratio.

    ./setup.sh VENV
    VENV/bin/python speed.py [--seconds 3] [--lanes 16] [--repeats 3]

  free    myohand.xml without contacts, excitations uniform in [0, 1], redrawn every 10 steps
  cube    the MyoDM scene of MyoHandCubesmallLift (hand on six root joints, table, object), from its pre-grasp
  cup     the same of MyoHandCupDrink
  grasp   the hand on MyoDM's six root joints closing around a capsule, no table: the starts of grasps.py

Ours and MuJoCo's take turns, `--repeats` times; the medians are compared. One core each, both in CPU time.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
import warnings

import mujoco
import numpy as np

import grasps

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.."))


def microseconds(model, begin, controls, steps, seconds):
    """Median over blocks of `steps` steps, each from a start."""
    blocks, rng, spent = [], np.random.default_rng(1), 0.0
    while spent < seconds or len(blocks) < 3:
        data = mujoco.MjData(model)
        begin(data)
        before = time.process_time()
        for step in range(steps):
            if step % 10 == 0:
                controls(data, rng)
            mujoco.mj_step(model, data)
        spent += time.process_time() - before
        blocks.append((time.process_time() - before) / steps * 1e6)
    return statistics.median(blocks)


def free():
    model = grasps.hand_alone()
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONTACT
    return model, lambda data: None, lambda data, rng: data.ctrl.__setitem__(slice(None), rng.uniform(0, 1, 39)), 1000


def myodm(name):
    warnings.filterwarnings("ignore")
    os.environ["GIT_PYTHON_REFRESH"] = "quiet"
    import gymnasium
    import myosuite  # noqa: F401

    env = gymnasium.make(name).unwrapped
    env.reset(seed=0)
    model, qpos = env.mj_model, env.init_qpos.copy()
    root = np.clip(qpos[:6], *model.actuator_ctrlrange[:6].T)

    def begin(data):
        data.qpos[:] = qpos

    def controls(data, rng):
        data.ctrl[:6] = root
        data.ctrl[6:] = 1 / (1 + np.exp(-5 * (rng.uniform(-1, 1, 39) - 0.5)))

    return model, begin, controls, 750


def grasp():
    folder = importlib.util.find_spec("myosuite").submodule_search_locations[0]
    spec = mujoco.MjSpec.from_file(os.path.join(folder, "envs/myo/assets/hand/myohand_tabletop.xml"))
    for geom in [geom for geom in spec.geoms if geom.parent.name == "simpleGraniteTable"]:
        spec.delete(geom)
    model, rng = grasps.build(spec), np.random.default_rng(3)
    model.opt.cone, model.opt.noslip_iterations = mujoco.mjtCone.mjCONE_PYRAMIDAL, 0
    starts = [grasps.start(model, rng) for _ in range(32)]

    def begin(data):
        chosen = starts[begin.next % len(starts)]
        begin.next += 1
        data.qpos[:] = chosen["qpos"] + chosen["object"]
        data.act[:], data.ctrl[6:] = chosen["act"], chosen["excitation"]

    begin.next = 0
    return model, begin, lambda data, rng: None, 130


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--lanes", default=None)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    scenes = {
        "free": free(),
        "cube": myodm("MyoHandCubesmallLift-v0"),
        "grasp": grasp(),
        "cup": myodm("MyoHandCupDrink-v0"),
    }
    command = [os.path.join(ROOT, "habitus"), "bench", "hand", "--json", "--seconds", str(arguments.seconds)]
    command += ["--lanes", arguments.lanes] if arguments.lanes else []
    ours, theirs = [], []
    for _ in range(arguments.repeats):
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        ours.append(json.loads(answer.splitlines()[-1]))
        theirs.append({name: microseconds(*scene, arguments.seconds) for name, scene in scenes.items()})
    result = {"lanes": ours[0]["lanes"]}
    for name in scenes:
        own = statistics.median(x[f"{name}_us"] for x in ours)
        peer = statistics.median(x[name] for x in theirs)
        result[name] = {"habitus_us": round(own, 3), "mujoco_us": round(peer, 1), "ratio": round(peer / own, 1)}
        print(f"{name:6} habitus {own:7.3f} us   MuJoCo {peer:6.1f} us   {peer / own:5.1f} x", file=sys.stderr)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
