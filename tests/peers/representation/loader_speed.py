#!/usr/bin/env python3
"""loader_speed.py FOLDER: samples per core-second of habitus and of LeRobot's loader of images on equal frames, in turn, three
times each. A sample is two frames of 84 x 84 one step apart and the action, in batches of 256 by one process, not cropped.

`habitus bench loader` draws the frames into FOLDER/frames.npy; LeRobot's dataset of them is made beside it. LeRobot keeps PNG and
decodes it; ours are raw bytes."""
import json
import pathlib
import shutil
import subprocess
import sys
import time

import numpy as np
import torch
from lerobot.datasets.lerobot_dataset import LeRobotDataset

LENGTH, FPS, BATCH, REPEATS = 50, 10, 256, 3
folder = pathlib.Path(sys.argv[1])
habitus = pathlib.Path(__file__).resolve().parents[3] / "habitus"
torch.set_num_threads(1)


def ours():
    command = [habitus, "bench", "loader", "--json", "--out", folder]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)


def write(frames, root):
    rng = np.random.default_rng(0)
    shutil.rmtree(root, ignore_errors=True)
    features = {
        "observation.images.camera": {"dtype": "image", "shape": frames.shape[1:], "names": ["height", "width", "channels"]},
        "action": {"dtype": "float32", "shape": (2,), "names": ["x", "y"]},
    }
    dataset = LeRobotDataset.create("local/loader", FPS, features, root=root, use_videos=False)
    for number, image in enumerate(frames):
        action = rng.uniform(-1, 1, 2).astype(np.float32)
        dataset.add_frame({"observation.images.camera": np.array(image), "action": action, "task": "go"})
        if (number + 1) % LENGTH == 0:
            dataset.save_episode()
    if hasattr(dataset, "finalize"):
        dataset.finalize()


def theirs(dataset):
    loader = torch.utils.data.DataLoader(dataset, batch_size=BATCH, shuffle=True, drop_last=True)
    start, samples = time.process_time(), 0
    for _ in range(4):
        for batch in loader:
            samples += len(batch["action"])
    return samples / (time.process_time() - start)


ours()  # draws the frames
frames = np.load(folder / "frames.npy", mmap_mode="r")
frames = frames[: len(frames) // LENGTH * LENGTH]
write(frames, folder / "lerobot")
dataset = LeRobotDataset("local/loader", root=folder / "lerobot", delta_timestamps={"observation.images.camera": [0, 1 / FPS]})
first = dataset[0]["observation.images.camera"]
assert np.array_equal((first.permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8), frames[:2]), "other frames"
found = [(ours(), theirs(dataset)) for _ in range(REPEATS)]
peer = np.median([rate for _, rate in found])
print(f"{len(frames)} frames; samples a core-second, {REPEATS} rounds in turn, and the median's ratio to LeRobot's")
print("LeRobot:", *(f"{rate:.0f}" for _, rate in found))
for name in ("samples_per_core_second", "mapped", "drawn"):
    rates = [figures[name] for figures, _ in found]
    print(f"habitus {name}:", *(f"{rate:.0f}" for rate in rates), f" {np.median(rates) / peer:.0f} x")
