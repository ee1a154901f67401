#!/usr/bin/env python3
"""What `hand import` makes of MuJoCo XML files, against what MuJoCo compiles them to.

    FOLDER/bin/python check_import.py [--hand PROGRAM] MODEL.xml…

Compared: joints, bodies with mass (place, turn, mass, centre, inertia), shapes, sites, tendon lengths at random poses, actuators.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import tomllib

import mujoco
import numpy as np

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../..")
POSES = 200


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hand", help="the program `hand` (default: ./habitus hand)")
    parser.add_argument("models", nargs="+")
    arguments = parser.parse_args()
    command = [arguments.hand] if arguments.hand else [os.path.join(ROOT, "habitus"), "hand"]
    return 1 if any([check(command, path) for path in arguments.models]) else 0


def check(command, path):
    """Prints the worst difference of each kind; answers whether one is large."""
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "model.toml")
        subprocess.run([*command, "import", path, "--out", file], check=True)
        with open(file, "rb") as text:
            ours = tomllib.load(text)
        theirs = mujoco.MjModel.from_xml_path(path)
        worst = {**bodies(ours, theirs), **joints(ours, theirs), **shapes(ours, theirs), **lengths(command, file, ours, theirs)}
    bad = {name: value for name, value in worst.items() if not value < 1e-7}
    print(f"{path}: " + ", ".join(f"{name} {value:.1e}" for name, value in worst.items()) + ("  WRONG" if bad else ""))
    return bool(bad)


def difference(a, b):
    return float(np.abs(np.asarray(a, float) - np.asarray(b, float)).max(initial=0))


def turns(a, b):
    """Quaternions differ as turns: q and -q are one."""
    return min(difference(a, b), difference(-np.asarray(a, float), b))


def bodies(ours, theirs):
    """Masses and inertias as parts of MuJoCo's."""
    place, turn, mass, inertia = [0.0], [0.0], [0.0], [0.0]
    assert len(ours["body"]) == theirs.nbody - 1, "bodies"
    for i, body in enumerate(ours["body"], start=1):
        place.append(difference(body["pos"], theirs.body_pos[i]))
        turn.append(turns(body.get("quat", [1, 0, 0, 0]), theirs.body_quat[i]))
        if "inertial" in body:
            rotation = np.zeros(9)
            mujoco.mju_quat2Mat(rotation, theirs.body_iquat[i])
            rotation = rotation.reshape(3, 3)
            full = rotation @ np.diag(theirs.body_inertia[i]) @ rotation.T
            found = np.array(body["inertial"]["inertia"])
            expected = full[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]
            mass.append(abs(body["inertial"]["mass"] - theirs.body_mass[i]) / theirs.body_mass[i])
            place.append(difference(body["inertial"]["com"], theirs.body_ipos[i]))
            inertia.append(difference(found, expected) / np.abs(expected).max())
    return {"place": max(place), "turn": max(turn), "mass": max(mass), "inertia": max(inertia)}


def joints(ours, theirs):
    found = ours.get("joint", [])
    assert len(found) == theirs.njnt, "joints"
    worst = [0.0]
    for i, joint in enumerate(found):
        axis = np.array(joint["axis"]) / np.linalg.norm(joint["axis"])
        assert bool(theirs.jnt_limited[i]) == ("limit" in joint)
        worst += [
            difference(axis, theirs.jnt_axis[i]),
            difference(joint.get("anchor", [0, 0, 0]), theirs.jnt_pos[i]),
            difference(joint.get("limit", [0, 0]), theirs.jnt_range[i] if "limit" in joint else [0, 0]),
            difference([joint["damping"], joint["armature"]], [theirs.dof_damping[i], theirs.dof_armature[i]]),
            difference(joint["limit_solref"], theirs.jnt_solref[i]),
            difference(joint["limit_solimp"], theirs.jnt_solimp[i]),
        ]
    return {"joint": max(worst)}


def shapes(ours, theirs):
    geoms = [g for g in range(theirs.ngeom) if theirs.geom_type[g] != mujoco.mjtGeom.mjGEOM_MESH]
    found = ours.get("shape", [])
    assert len(found) == len(geoms), "shapes"
    worst = [0.0]
    for shape, g in zip(found, geoms):
        contact = shape.get("contact")
        assert bool(contact) == bool(theirs.geom_contype[g] or theirs.geom_conaffinity[g])
        worst += [
            difference(shape["size"], theirs.geom_size[g][: len(shape["size"])]),
            difference(shape.get("pos", [0, 0, 0]), theirs.geom_pos[g]),
            turns(shape.get("quat", [1, 0, 0, 0]), theirs.geom_quat[g]),
        ]
        if contact:
            worst += [
                difference(contact["friction"], theirs.geom_friction[g]),
                difference(contact["solref"], theirs.geom_solref[g]),
                difference(contact["solimp"], theirs.geom_solimp[g]),
                difference([contact["margin"], contact["dimensions"]], [theirs.geom_margin[g], theirs.geom_condim[g]]),
                difference([contact["group"], contact["mask"]], [theirs.geom_contype[g], theirs.geom_conaffinity[g]]),
            ]
    return {"shape": max(worst)}


def lengths(command, file, ours, theirs):
    """Muscles at random poses: lengths, and tensions (as part of the peak force) where the length range is not made up."""
    muscles = ours.get("muscle", [])
    if not muscles:
        return {}
    rng = np.random.default_rng(0)
    data = mujoco.MjData(theirs)
    which = [theirs.actuator(muscle["name"]).id for muscle in muscles]
    low, high = np.where(theirs.jnt_limited[:, None], theirs.jnt_range, [-0.2, 0.2]).T
    poses = [
        {"qpos": q.tolist(), "qvel": v.tolist(), "act": a.tolist()}
        for q, v, a in zip(
            rng.uniform(low, high, (POSES, theirs.nv)),
            rng.uniform(-2, 2, (POSES, theirs.nv)),
            rng.uniform(0, 1, (POSES, len(muscles))),
        )
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as asked:
        json.dump({"parameters": "compat", "poses": poses}, asked)
        asked.flush()
        arguments = ["inspect", "--model", file, "--pose", asked.name, "--json"]
        answers = json.loads(subprocess.run([*command, *arguments], stdout=subprocess.PIPE, check=True).stdout)["poses"]
    length, tension = [0.0], [0.0]
    ranged = np.array([muscle["compat_range"] != muscle["calibrated_range"] for muscle in muscles])
    for pose, answer in zip(poses, answers):
        data.qpos[:], data.qvel[:] = pose["qpos"], pose["qvel"]
        for actuator, activation in zip(which, pose["act"]):
            data.act[theirs.actuator_actadr[actuator]] = activation
        mujoco.mj_forward(theirs, data)
        length.append(difference(answer["lengths"], data.actuator_length[which]))
        peak = [muscle["peak_force"] for muscle in muscles]
        off = (np.array(answer["tensions"]) + data.actuator_force[which]) / peak
        tension.append(difference(off[ranged], 0))
    return {"length": max(length), "tension": max(tension)}


if __name__ == "__main__":
    sys.exit(main())
