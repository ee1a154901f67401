#!/usr/bin/env python3
"""Power grasps by MuJoCo 3.6.0, for comparing outcomes: who still holds the object after a second, and where it lies in the hand.

    ./setup.sh VENV
    VENV/bin/python grasps.py [--count 32] [--seed 3] > ../../../hand/tests/hand/grasps.json

The MyoHand of myosuite 2.12.2 as shipped, with a free capsule (radius 18 mm, half length 30 mm, 0.148 kg, inertia 1e-4 kg m2 so
that neither side's safety net changes it) put into the closing fingers; gravity on, no table. Each start differs in how far the
fingers are bent, where the capsule lies and how strongly the flexors pull. Elliptic cones and 20 noslip iterations (as TCDM has
them): without these, MuJoCo's friction gives way by some 30 mm a second here, and 7 of 32 capsules slide out.

Written per grasp: qpos (23), act, excitation (39, with five digits), object pose (position, quaternion w x y z), and after 1 s
whether the capsule moved less than 40 mm against the middle finger's first bone, and where it is in that bone's frame.
"""

import argparse
import importlib.util
import json
import os

import mujoco
import numpy as np

SECONDS, HELD_M = 1.0, 0.08
STRONG = ("FDS", "FDP", "FPL", "OP", "ECR", "ECU")


def hand_spec():
    folder = importlib.util.find_spec("myosuite").submodule_search_locations[0]
    return mujoco.MjSpec.from_file(os.path.join(folder, "simhive/myo_sim/hand/myohand.xml"))


def hand_alone():
    return hand_spec().compile()


def build(spec=None):
    spec = spec or hand_spec()
    for geom in list(spec.worldbody.geoms):
        spec.delete(geom)
    body = spec.worldbody.add_body(name="capsule")
    body.add_freejoint()
    body.explicitinertial, body.mass, body.inertia = True, 0.148, [1e-4] * 3
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, size=[0.018, 0.03, 0], condim=3)
    model = spec.compile()
    model.opt.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    model.opt.noslip_iterations = 200
    return model


def quat_z_to(axis):
    quat = np.zeros(4)
    mujoco.mju_quatZ2Vec(quat, axis)
    return quat


def start(model, rng):
    data = mujoco.MjData(model)
    bend = rng.uniform([0.8, 0.8, 0.4], [1.1, 1.1, 0.7])
    for i in range(model.njnt - 1):
        name = model.joint(i).name
        if name.startswith("mcp") and name.endswith("flexion"):
            data.qpos[i] = bend[0]
        elif name.startswith("pm"):
            data.qpos[i] = bend[1]
        elif name.startswith("md"):
            data.qpos[i] = bend[2]
        elif name == "cmc_flexion":
            data.qpos[i] = -0.2
        elif name == "cmc_abduction":
            data.qpos[i] = 0.3
    mujoco.mj_kinematics(model, data)
    bones = [f"{bone}{finger}" for finger in (2, 3, 4, 5) for bone in ("proxph", "midph", "distph")]
    points = [data.body(bone).xpos.copy() for bone in bones]
    for finger in (2, 3, 4, 5):
        last = data.body(f"distph{finger}")
        points.append(last.xpos + last.xmat.reshape(3, 3) @ [0, -0.02, 0])
    middle = np.mean(points, axis=0) + rng.uniform(-0.006, 0.006, 3)
    along = data.body("proxph2").xpos - data.body("proxph5").xpos
    strength = rng.uniform(0.05, 0.5)
    names = [model.actuator(i).name for i in range(model.nu - 39, model.nu)]
    excitation = [strength if name.startswith(STRONG) else 0.02 for name in names]
    rounded = lambda values: [float(f"{x:.6g}") for x in values]
    return {
        "qpos": rounded(data.qpos[:-7]),
        "act": 0.1,
        "excitation": rounded(excitation),
        "object": rounded([*middle, *quat_z_to(along / np.linalg.norm(along))]),
    }


def in_finger(data):
    bone = data.body("proxph3")
    return bone.xmat.reshape(3, 3).T @ (data.body("capsule").xpos - bone.xpos)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=32)
    parser.add_argument("--seed", type=int, default=3)
    arguments = parser.parse_args()
    model, rng = build(), np.random.default_rng(arguments.seed)
    grasps = []
    for _ in range(arguments.count):
        grasp = start(model, rng)
        data = mujoco.MjData(model)
        data.qpos[:] = grasp["qpos"] + grasp["object"]
        data.act[:] = grasp["act"]
        data.ctrl[:] = grasp["excitation"]
        contacts = []
        for _ in range(round(SECONDS / model.opt.timestep)):
            mujoco.mj_step(model, data)
            contacts.append(data.ncon)
        place = in_finger(data)
        grasp["held"] = bool(np.linalg.norm(place) < HELD_M)
        grasp["place"] = [round(float(x), 6) for x in place]
        grasp["contacts"] = round(float(np.mean(contacts)), 1)
        grasps.append(grasp)
    about = f"by grasps.py: MuJoCo {mujoco.__version__}, {arguments.count} power grasps of 1 s, seed {arguments.seed}"
    print('{"about": ' + json.dumps(about) + ',\n"grasps": [')
    print(",\n".join(json.dumps(grasp, separators=(",", ":")) for grasp in grasps))
    print("]}")


if __name__ == "__main__":
    main()
