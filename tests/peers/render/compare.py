"""Compares pictures of scene.json with those that MuJoCo 4.0.0 drew of it, finely tessellated (depth.npy, segmentation.npy).

usage: python compare.py DIR      DIR as `./habitus bench camera --dump DIR` writes it; needs numpy

Exit 1 if fewer than 99.5 % of the pixels show the same thing, if a pixel that is not beside an outline differs, or if more than
0.5 % of the other depths are off by over 1 mm. The last line is JSON.
"""
import json
import pathlib
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent


def outline(ids):
    """Pixels with a neighbor (of 8) of another id."""
    padded = np.pad(ids, 1, mode="edge")
    h, w = ids.shape
    return np.any([padded[1 + i:1 + i + h, 1 + j:1 + j + w] != ids for i in (-1, 0, 1) for j in (-1, 0, 1)], axis=0)


def main():
    found, true = [{k: np.load(d / f"{k}.npy") for k in ("depth", "segmentation")} for d in (pathlib.Path(sys.argv[1]), HERE)]
    same = found["segmentation"] == true["segmentation"]
    edges = np.array([outline(i) for i in true["segmentation"]])
    off = abs(found["depth"] - true["depth"])[same & ~edges]
    report = {"same_thing": float(same.mean()), "differences_inside": int((~same & ~edges).sum()), "over_1_mm": float((off > 1e-3).mean()), "largest_m": float(off.max())}
    fine = report["same_thing"] >= 0.995 and report["differences_inside"] == 0 and report["over_1_mm"] <= 0.005
    print(json.dumps({"ok": fine, **report}))
    sys.exit(not fine)


if __name__ == "__main__":
    main()
