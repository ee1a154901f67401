#!/usr/bin/env python3
"""Our tendons and muscles against MuJoCo's, at all poses of a file that golden.py wrote.

    FOLDER/bin/python golden.py 7 7000 --out golden.json
    FOLDER/bin/python sweep.py golden.json [--hand PROGRAM]      (default: habitus at the root of this checkout)

Prints the worst differences and how many values are beyond the tolerances; the exit code is 1 where one is. Over 7,000 poses of
seeds 7 and 11 there is none with the parameters `compat`, and the worst length is off by 1e-11 m.

With `calibrated`, ours computes the contact points of inside wraps exactly, and MuJoCo's search gives up in narrow windows of
poses (48 of 273,000 values, with seed 7 and with seed 11). Those do not count if MuJoCo is the one that jumps: the pose is turned
by 1e-2 rad in 60 random directions and back; MuJoCo's length at the pose leaves the mean of opposite turns, and ours does not.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

# metres, metres a radian, part of the peak force
LENGTH, ARM, TENSION = 2e-6, 5e-6, 1e-3
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../..")
CHUNK = 500
DIRECTIONS, TURN_RAD = 60, 1e-2


def inspect(command, parameters, poses):
    """The answers of `hand inspect` to poses, with its names of muscles and joints."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        fields = ("qpos", "qvel", "act")
        json.dump({"parameters": parameters, "poses": [{name: pose[name] for name in fields} for pose in poses]}, file)
        file.flush()
        done = subprocess.run([*command, "inspect", "--pose", file.name, "--json"], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("golden")
    parser.add_argument("--hand", help="the program `hand` (default: ./habitus hand)")
    arguments = parser.parse_args()
    command = [arguments.hand] if arguments.hand else [os.path.join(ROOT, "habitus"), "hand"]
    with open(arguments.golden) as file:
        golden = json.load(file)
    peak = np.array(golden["F0"])
    poses = golden["poses"]
    worst = {"length, m": 0.0, "moment arm, m": 0.0, "velocity, m/s": 0.0, "tension, part of peak": 0.0, "joint torque, N m": 0.0}
    beyond = []
    for start in range(0, len(poses), CHUNK):
        chunk = poses[start : start + CHUNK]
        ours = inspect(command, golden["parameters"], chunk)
        assert ours["muscles"] == golden["muscles"] and ours["joints"] == golden["joints"]
        for i, (pose, answer) in enumerate(zip(chunk, ours["poses"])):
            arms = np.zeros((len(peak), len(golden["joints"])))
            for muscle, joint, value in pose["moment_arms"]:
                arms[muscle, joint] = value
            length = np.abs(np.array(answer["lengths"]) - pose["lengths"])
            arm = np.abs(np.array(answer["moment_arms"]) - arms).max(axis=1)
            velocity = np.abs(np.array(answer["velocities"]) - pose["velocities"])
            tension = np.abs(np.array(answer["tensions"]) - pose["tensions"]) / peak
            torque = np.abs(np.array(answer["joint_torques"]) - pose["qfrc_from_muscles"])
            assert min(answer["tensions"]) >= 0
            bad = (length > LENGTH) | (arm > ARM) | (tension > TENSION)
            beyond += [(start + i, int(m), length[m], arm[m], tension[m]) for m in np.flatnonzero(bad)]
            # The worst of the rest: a muscle beyond tolerance is listed by itself.
            for name, values in zip(worst, (length, arm, velocity, tension)):
                worst[name] = max(worst[name], float(np.where(bad, 0, values).max()))
            if not bad.any():
                worst["joint torque, N m"] = max(worst["joint torque, N m"], float(torque.max()))
    print(f"{len(poses)} poses x {len(peak)} muscles; {golden['parameters']}; worst difference from MuJoCo {golden['mujoco']} within tolerance:")
    for name, value in worst.items():
        print(f"  {name:24} {value:.3g}")
    print(f"beyond tolerance ({LENGTH} m, {ARM} m/rad, {TENSION} of peak force): {len(beyond)} of {len(poses) * len(peak)}")
    if golden["parameters"] == "calibrated":
        beyond = [value for value in beyond if not is_theirs(golden, *value, command)]
        print(f"of these, not explained by a jump of MuJoCo's own: {len(beyond)}")
    for index, muscle, length, arm, tension in beyond:
        print(f"  pose {index} {golden['muscles'][muscle]:7} length {length:.2e} arm {arm:.2e} tension {tension:.2e}")
    return 1 if beyond else 0


def is_theirs(golden, index, muscle, length, arm, tension, command):
    """Whether MuJoCo's length jumps at a pose, by what it differs from ours, and ours does not."""
    import mujoco

    import golden as reference

    model = reference.load_model()
    data = mujoco.MjData(model)
    here = np.array(golden["poses"][index]["qpos"])
    turns = np.random.default_rng(index).uniform(-TURN_RAD, TURN_RAD, (DIRECTIONS, len(here)))
    around = [here, *(here + turns), *(here - turns)]
    theirs = []
    for qpos in around:
        data.qpos[:] = qpos
        mujoco.mj_fwdPosition(model, data)
        theirs.append(data.ten_length[muscle])
    still = {"qvel": [0.0] * model.nv, "act": [0.0] * model.na}
    answers = inspect(command, golden["parameters"], [{"qpos": list(qpos), **still} for qpos in around])["poses"]
    jump_theirs, jump_ours = jump(theirs), jump([answer["lengths"][muscle] for answer in answers])
    return jump_theirs > 3 * jump_ours and jump_theirs > 0.5 * length


def jump(lengths):
    turned = np.array(lengths[1:])
    return np.median(np.abs((turned[:DIRECTIONS] + turned[DIRECTIONS:]) / 2 - lengths[0]))


if __name__ == "__main__":
    sys.exit(main())
