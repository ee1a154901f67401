#!/usr/bin/env python3
"""loader_speed.py FOLDER [write]: samples per core-second of LeRobot's loader of images, a sample being two frames of 84 x 84 one
step apart and the action, in batches of 256 by one process.

With `write` it makes FOLDER/frames.u8 (20 episodes of 50 frames) and a LeRobot dataset of the same frames first. Beside it, in the
same minutes: the ignored test `loader_speed` of crate trainers, which reads frames.u8 (HABITUS_PEER_OUT=FOLDER)."""
import pathlib
import shutil
import sys
import time

import numpy as np
import torch
from lerobot.datasets.lerobot_dataset import LeRobotDataset

EPISODES, LENGTH, SIZE, FPS, BATCH = 20, 50, 84, 10, 256
folder = pathlib.Path(sys.argv[1])
torch.set_num_threads(1)
root = folder / "lerobot"
if "write" in sys.argv[2:]:
    rng = np.random.default_rng(0)
    shutil.rmtree(root, ignore_errors=True)
    features = {
        "observation.images.camera": {"dtype": "image", "shape": (SIZE, SIZE, 3), "names": ["height", "width", "channels"]},
        "action": {"dtype": "float32", "shape": (2,), "names": ["x", "y"]},
    }
    dataset = LeRobotDataset.create("local/loader", FPS, features, root=root, use_videos=False)
    line = np.arange(SIZE)
    with open(folder / "frames.u8", "wb") as file:
        for episode in range(EPISODES):
            for frame in range(LENGTH):
                # a disk on a slope: about as compressible as a drawn scene
                image = np.stack([np.add.outer(line, line), np.add.outer(line, 2 * line), np.add.outer(line, 0 * line)], -1) % 200
                image[np.hypot.outer(line - 10 - frame, line - 20 - episode * 2) < 8] = (240, 90, 30)
                image = image.astype(np.uint8)
                file.write(image.tobytes())
                action = rng.uniform(-1, 1, 2).astype(np.float32)
                dataset.add_frame({"observation.images.camera": image, "action": action, "task": "go"})
            dataset.save_episode()
    if hasattr(dataset, "finalize"):
        dataset.finalize()

dataset = LeRobotDataset("local/loader", root=root, delta_timestamps={"observation.images.camera": [0, 1 / FPS]})
first = dataset[0]["observation.images.camera"]
raw = np.fromfile(folder / "frames.u8", np.uint8).reshape(-1, SIZE, SIZE, 3)
assert np.array_equal((first.permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8), raw[:2]), "other frames"
loader = torch.utils.data.DataLoader(dataset, batch_size=BATCH, shuffle=True, drop_last=True)
for repeat in range(3):
    start, samples = time.process_time(), 0
    for batch in loader:
        samples += len(batch["action"])
    print(f"LeRobot: {samples / (time.process_time() - start):.0f} samples a core-second over {samples}")
