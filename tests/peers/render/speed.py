"""How many pictures of scene.json a core draws in a second: MuJoCo, PyBullet and habitus in turn, and the ratios.

usage: VENV/bin/python speed.py [--seconds 3] [--rounds 2]     (in VENV: mujoco, numpy, and pybullet if it is to be measured)

One thing moves from picture to picture, colors are read back, no physics. Figures are pictures per second of processor time of
all threads; each row runs in a process of its own, and the best round counts. The last line is JSON. MuJoCo draws with Mesa's
llvmpipe (EGL or OSMesa); `tuned` is without shadows and multisampling, with coarse primitives and the leanest loop there is.
"""
import argparse
import ctypes
import importlib.util
import json
import math
import os
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
SIZE = 84
ROWS = ["mujoco_default", "mujoco_tuned", "pybullet_plain", "pybullet_shadows", "habitus"]


def moved(scene, n):
    """Which thing is displaced in picture n, and its pose."""
    geom = [g for g in scene["geoms"] if "position" not in g][n % 10]
    pose = list(scene["frames"][0]["poses"][geom["name"]])
    pose[0] += scene["motion_radius"] * math.cos(n)
    pose[1] += scene["motion_radius"] * math.sin(n)
    return geom["name"], pose


def pose_of(scene, geom):
    return [*geom["position"], *geom["quaternion_wxyz"]] if "position" in geom else scene["frames"][0]["poses"][geom["name"]]


def mujoco_pictures(scene, tuned):
    try:
        ctypes.CDLL("libEGL.so.1")
        os.environ.setdefault("MUJOCO_GL", "egl")
    except OSError:
        os.environ.setdefault("MUJOCO_GL", "osmesa")
    import mujoco
    import numpy as np

    words = lambda values: " ".join(f"{v:.9g}" for v in values)  # noqa: E731
    camera, light = scene["camera"], scene["light"]
    bodies, movers = [], {}
    for geom in scene["geoms"]:
        size = geom.get("half_extents") or [geom[k] for k in ("radius", "half_length") if k in geom]
        size = [*size, 1.0] if geom["shape"] == "plane" else size
        shape = f'<geom type="{geom["shape"]}" size="{words(size)}" rgba="{words(geom["color"])} 1"'
        pose = pose_of(scene, geom)
        place = f'pos="{words(pose[:3])}" quat="{words(pose[3:])}"'
        if "position" in geom:
            bodies.append(f"{shape} {place}/>")
        else:
            movers[geom["name"]] = len(movers)
            bodies.append(f'<body mocap="true" {place}>{shape}/></body>')
    quality = 'offsamples="0" numslices="10" numstacks="8"' if tuned else ""
    model = mujoco.MjModel.from_xml_string(f"""<mujoco><statistic extent="1" center="0 0 0.4"/>
      <visual><map znear="{camera['near']}" zfar="{camera['far']}"/><quality {quality}/><global offwidth="{SIZE}" offheight="{SIZE}"/>
      <headlight ambient="{words([light['ambient']] * 3)}" diffuse="0 0 0" specular="0 0 0"/></visual>
      <worldbody><light directional="true" pos="0.6 -0.8 2.2" dir="{words(light['direction'])}" diffuse="{words([light['diffuse']] * 3)}" castshadow="{str(not tuned).lower()}"/>
      <camera name="eye" pos="{words(camera['position'])}" xyaxes="{words(camera['right'])} {words(camera['up'])}" fovy="{math.degrees(camera['fovy']):.9g}"/>
      {''.join(bodies)}</worldbody></mujoco>""")
    data = mujoco.MjData(model)
    renderer = mujoco.Renderer(model, SIZE, SIZE)
    renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = not tuned
    rect, pixels = mujoco.MjrRect(0, 0, SIZE, SIZE), np.empty((SIZE, SIZE, 3), np.uint8)
    option, perturb, eye = mujoco.MjvOption(), mujoco.MjvPerturb(), mujoco.MjvCamera()
    eye.type, eye.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, 0

    def picture(n):
        name, pose = moved(scene, n)
        data.mocap_pos[movers[name]] = pose[:3]
        mujoco.mj_kinematics(model, data)
        mujoco.mj_camlight(model, data)
        if not tuned:
            renderer.update_scene(data, "eye")
            return renderer.render()
        mujoco.mjv_updateScene(model, data, option, perturb, eye, mujoco.mjtCatBit.mjCAT_ALL.value, renderer.scene)
        mujoco.mjr_render(rect, renderer.scene, renderer._mjr_context)
        mujoco.mjr_readPixels(pixels, None, rect, renderer._mjr_context)
        return pixels

    return picture


def bullet_pictures(scene, shadows):
    import numpy as np
    import pybullet as bullet

    bullet.connect(bullet.DIRECT)
    kinds = {"box": bullet.GEOM_BOX, "plane": bullet.GEOM_BOX, "sphere": bullet.GEOM_SPHERE, "capsule": bullet.GEOM_CAPSULE, "cylinder": bullet.GEOM_CYLINDER}
    bodies = {}
    for geom in scene["geoms"]:
        shape = {"rgbaColor": [*geom["color"], 1]}
        if "half_extents" in geom:
            shape["halfExtents"] = (geom["half_extents"] + [0.001])[:3]
        if "radius" in geom:
            shape["radius"] = geom["radius"]
        if "half_length" in geom:
            shape["length"] = 2 * geom["half_length"]
        visual = bullet.createVisualShape(kinds[geom["shape"]], **shape)
        x, y, z, *q = pose_of(scene, geom)
        bodies[geom["name"]] = bullet.createMultiBody(0, -1, visual, [x, y, z], [*q[1:], q[0]])
    camera, light = scene["camera"], scene["light"]
    view = bullet.computeViewMatrix(camera["position"], [a + b for a, b in zip(camera["position"], camera["forward"])], camera["up"])
    projection = bullet.computeProjectionMatrixFOV(math.degrees(camera["fovy"]), 1.0, camera["near"], camera["far"])

    def picture(n):
        name, pose = moved(scene, n)
        bullet.resetBasePositionAndOrientation(bodies[name], pose[:3], [*pose[4:], pose[3]])
        shot = bullet.getCameraImage(
            SIZE, SIZE, view, projection, lightDirection=[-v for v in light["direction"]], shadow=int(shadows), lightAmbientCoeff=light["ambient"],
            lightDiffuseCoeff=light["diffuse"], lightSpecularCoeff=0, renderer=bullet.ER_TINY_RENDERER, flags=bullet.ER_NO_SEGMENTATION_MASK)
        return np.reshape(shot[2], (SIZE, SIZE, 4))[..., :3]

    return picture


def measure(row, seconds):
    scene = json.loads((HERE / "scene.json").read_text())
    library, _, kind = row.partition("_")
    picture = mujoco_pictures(scene, kind == "tuned") if library == "mujoco" else bullet_pictures(scene, kind == "shadows")
    for n in range(20):
        shown = picture(n)
    assert shown.shape == (SIZE, SIZE, 3) and shown.std() > 5, "the picture is blank"
    count, cpu, wall = 0, time.process_time(), time.perf_counter()
    while time.perf_counter() - wall < seconds:
        for _ in range(10):
            picture(count)
            count += 1
    return {row: count / (time.process_time() - cpu)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3, help="for each row of each round")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--row", choices=ROWS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.row:
        print(json.dumps(measure(arguments.row, arguments.seconds)))
        return
    rows = [r for r in ROWS if r == "habitus" or importlib.util.find_spec(r.partition("_")[0])]
    best = {}
    for _ in range(arguments.rounds):
        for row in rows:
            if row == "habitus":
                command = [str(HERE.parents[2] / "habitus"), "bench", "camera", "--json", "--seconds", str(arguments.seconds / 2)]
            else:
                command = [sys.executable, __file__, "--row", row, "--seconds", str(arguments.seconds)]
            environment = {**os.environ, **({"LP_NUM_THREADS": "0"} if row == "mujoco_tuned" else {})}
            run = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=True)
            found = json.loads(run.stdout.splitlines()[-1])
            if row == "habitus":
                found = {f"habitus_{k}": v for k, v in found["frames_per_core_second"].items()}
            for name, rate in found.items():
                print(f"{name:18} {rate:9.1f} pictures per core-second", file=sys.stderr)
                best[name] = max(best.get(name, 0), rate)
    pairs = [("habitus_plain", "mujoco_tuned"), ("habitus_plain", "pybullet_plain"), ("habitus_shadows", "mujoco_default"), ("habitus_shadows", "pybullet_shadows")]
    ratios = {f"{a} / {b}": round(best[a] / best[b], 1) for a, b in pairs if b in best}
    print(json.dumps({"pictures_per_core_second": {k: round(v, 1) for k, v in best.items()}, "ratios": ratios, "rounds": arguments.rounds, "load_average": os.getloadavg()[0]}))


if __name__ == "__main__":
    main()
