#!/usr/bin/env python3
"""Reference values for the MyoHand's tendons and muscles at random poses, computed by MuJoCo 3.6.0 on the shipped model.

    ./setup.sh FOLDER
    FOLDER/bin/python golden.py SEED COUNT [--calibrated MODEL.toml] [--digits 17] [--keep-all] [--out FILE]

What is drawn: joint angles uniform in the joint's range; joint velocities uniform in +-s rad/s with s itself uniform in [0, 10]
for each pose, so slow and fast poses both occur; activations uniform in [0, 1].

What is written, by MuJoCo field (model = myohand.xml of myosuite 2.12.2, after mj_forward):
  qpos, qvel, act       the inputs. Rounded to --digits significant digits BEFORE the computation: they are exact as written.
  lengths               data.ten_length [m]           tendon i is muscle i (gear 1, transmission "tendon"; checked below)
  velocities            data.ten_velocity [m/s]       positive = lengthening
  moment_arms           data.ten_J [m/rad]            [muscle, joint, value] = d length / d angle; entries below 1e-12 left out.
                                                      A shortening muscle pulls along -value: the torque of one newton is -value.
  tensions              -data.actuator_force [N]      positive = pulling; uses `act` of this instant, not of the next step
  qfrc_from_muscles     data.qfrc_actuator [N m]      = -sum over muscles of moment_arm * tension; the muscles are the only
                                                      actuators, and joint limits, damping, contacts and gravity are not in it
With --calibrated, the muscles' length ranges are `calibrated_range` of our model file instead of the shipped ones.

What is exact: everything above is a closed formula of (qpos, qvel, act) in float64, without time step or solver, except the contact
point of the 12 inside wraps, which MuJoCo finds by at most 20 Newton steps to 1e-6 in its variable (measured against an independent
implementation of the same steps: lengths within 1e-11 m). In narrow windows of poses those steps give up, and MuJoCo takes the
middle of the two ends: lengths are wrong by 0.1 to 1.3 mm there. Results are rounded to --digits too. Contacts and constraints do not enter.

Left out unless --keep-all: poses where a small turn makes a moment arm jump, because a tendon there changes between two ways round
a wrap. A correct float32 implementation may land on the other side. The test: 64 random turns of up to 1e-5 rad per joint; a pose is
left out when an arm changes by more than 1e-5 m. The count of poses left out is written as `left_out`.
"""

import argparse
import importlib.util
import json
import os
import sys
import tomllib

import mujoco
import numpy as np

TURN_RAD, TURNS, ARM_JUMP_M = 1e-5, 64, 1e-5
MAX_SPEED_RAD_PER_SEC = 10.0


def model_path():
    """Found without importing myosuite, which takes seconds."""
    folder = importlib.util.find_spec("myosuite").submodule_search_locations[0]
    return os.path.join(folder, "simhive/myo_sim/hand/myohand.xml")


def load_model():
    model = mujoco.MjModel.from_xml_path(model_path())
    assert (model.nq, model.nu, model.ntendon) == (23, 39, 39)
    assert (model.actuator_trntype == mujoco.mjtTrn.mjTRN_TENDON).all()
    assert (model.actuator_trnid[:, 0] == np.arange(39)).all() and (model.actuator_gear[:, 0] == 1).all()
    assert (model.jnt_qposadr == np.arange(23)).all() and (model.jnt_dofadr == np.arange(23)).all()
    return model


def calibrate(model, path):
    with open(path, "rb") as file:
        muscles = tomllib.load(file)["muscle"]
    assert [muscle["name"] for muscle in muscles] == names(model.actuator, model.nu)
    model.actuator_lengthrange[:] = [muscle["calibrated_range"] for muscle in muscles]


def names(kind, count):
    return [kind(i).name for i in range(count)]


def moment_arms(model, data):
    arms = np.zeros((model.ntendon, model.nv))
    mujoco.mju_sparse2dense(arms, data.ten_J, model.ten_J_rownnz, model.ten_J_rowadr, model.ten_J_colind)
    return arms


def arms_at(model, data, qpos):
    data.qpos[:] = qpos
    mujoco.mj_fwdPosition(model, data)
    return moment_arms(model, data)


def is_steady(model, data, qpos, rng):
    here = arms_at(model, data, qpos)
    return all(
        np.abs(arms_at(model, data, qpos + rng.uniform(-TURN_RAD, TURN_RAD, model.nq)) - here).max() <= ARM_JUMP_M
        for _ in range(TURNS)
    )


def rounded(values, digits):
    return [float(f"%.{digits}g" % value) + 0.0 for value in values]  # + 0.0: no minus zero


def evaluate(model, data, qpos, qvel, act, digits):
    mujoco.mj_resetData(model, data)
    data.qpos[:], data.qvel[:], data.act[:] = qpos, qvel, act
    mujoco.mj_forward(model, data)
    arms = moment_arms(model, data)
    tensions = -data.actuator_force
    assert tensions.min() >= 0 and np.allclose(data.qfrc_actuator, -arms.T @ tensions, rtol=0, atol=1e-10)
    return {
        "qpos": qpos,
        "qvel": qvel,
        "act": act,
        "lengths": rounded(data.ten_length, digits),
        "velocities": rounded(data.ten_velocity, digits),
        "moment_arms": [
            [int(i), int(j), rounded([arms[i, j]], digits)[0]] for i, j in np.argwhere(np.abs(arms) > 1e-12)
        ],
        "tensions": rounded(tensions, digits),
        "qfrc_from_muscles": rounded(data.qfrc_actuator, digits),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seed", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--digits", type=int, default=17, help="significant digits (default 17: float64 exactly)")
    parser.add_argument("--keep-all", action="store_true", help="keep poses at a jump of a moment arm")
    parser.add_argument("--calibrated", metavar="MODEL.toml", help="take the muscles' length ranges from there")
    parser.add_argument("--out", help="file to write (default: standard output)")
    arguments = parser.parse_args()

    model = load_model()
    if arguments.calibrated:
        calibrate(model, arguments.calibrated)
    data = mujoco.MjData(model)
    rng = np.random.default_rng(arguments.seed)
    turns = np.random.default_rng([arguments.seed, 1])  # apart, so that --keep-all draws the same poses
    poses, left_out = [], 0
    while len(poses) < arguments.count:
        qpos = rounded(rng.uniform(*model.jnt_range.T), arguments.digits)
        qvel = rounded(rng.uniform(0, MAX_SPEED_RAD_PER_SEC) * rng.uniform(-1, 1, model.nv), arguments.digits)
        act = rounded(rng.uniform(0, 1, model.na), arguments.digits)
        if not arguments.keep_all and not is_steady(model, data, qpos, turns):
            left_out += 1
            continue
        poses.append(evaluate(model, data, qpos, qvel, act, arguments.digits))

    with open(arguments.out, "w") if arguments.out else sys.stdout as file:
        head = {
            "about": "MyoHand tendons and muscles by MuJoCo; fields, units and signs are explained in golden.py",
            "model": "simhive/myo_sim/hand/myohand.xml of myosuite 2.12.2",
            "mujoco": mujoco.__version__,
            "parameters": "calibrated" if arguments.calibrated else "compat",
            "seed": arguments.seed,
            "digits": arguments.digits,
            "left_out": left_out,
            "muscles": names(model.actuator, 39),
            "joints": names(model.joint, 23),
            "F0": model.actuator_gainprm[:, 2].tolist(),
        }
        # one pose a line
        file.write("{" + ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()))
        file.write(',\n"poses": [\n' + ",\n".join(json.dumps(p, separators=(",", ":")) for p in poses) + "\n]}\n")
    print(f"{len(poses)} poses, {left_out} left out", file=sys.stderr)


if __name__ == "__main__":
    main()
