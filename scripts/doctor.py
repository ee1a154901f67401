#!/usr/bin/env python3
"""What this machine has, what habitus will use of it, and what to fix.      ./habitus doctor [--json]"""

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import setup as parts  # noqa: E402


def main():
    arguments = argparse.ArgumentParser(description="What this machine has, what will be used, what to fix.")
    arguments.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    as_json = arguments.parse_args().json
    cache = parts.cache_folder()
    flags = set(cpu_flags())
    rows = [
        # (what, what was found, whether that is enough, what to do otherwise)
        ("cores", f"{os.cpu_count()}", True, ""),
        ("SIMD", next((s for s in ("avx512f", "avx2", "sse2") if s in flags), "none known"), True, ""),
        ("training arithmetic", "bf16" if "avx512_bf16" in flags or "amx_bf16" in flags else "f32", True, ""),
        ("memory", memory(), True, ""),
        ("free disk in " + str(cache), disk(cache), free(cache) > 3_000, "free 3 GB, or set HABITUS_CACHE to another disk"),
        ("rust", version("cargo"), bool(shutil.which("cargo")), "install Rust 1.95"),
        ("C++ compiler", version("c++"), bool(shutil.which("c++")), "install a C++ compiler (Debian: apt-get install g++)"),
        ("python", sys.version.split()[0], sys.version_info >= (3, 9), "install Python 3.9 or later"),
        ("pip", found(importlib.util.find_spec("pip")), bool(importlib.util.find_spec("pip")), "apt-get install python3-pip"),
        ("GPU", gpu(), True, ""),
        ("display", os.environ.get("DISPLAY") or "none (the editor takes pictures: --screenshot)", True, ""),
        gui("editor's pictures", parts.missing_for_pictures()),
        gui("editor's window", parts.missing_for_window()),
        gui("editor's window test", parts.missing_for_gui_test()),
    ]
    titles = [(name, part[0]) for name, part in parts.PARTS.items() if name not in parts.FOR_TESTS]
    for name, title in [*titles, ("jargon", "second general text")]:
        present = (cache / name / ".complete").is_file()
        rows.append((title, found(present), present, "run ./habitus setup"))
    for what, value, enough, advice in rows:
        print(f"{'ok ' if enough else 'FIX'}  {what}: {value}" + ("" if enough else f"  ->  {advice}"), file=sys.stderr)
    if as_json:
        print(json.dumps({what: {"found": value, "ok": enough} for what, value, enough, _ in rows}))
    sys.exit(0 if all(enough for _, _, enough, _ in rows) else 1)


def found(there):
    return "present" if there else "missing"


def gui(what, missing):
    """A machine without a display lacks nothing: what is missing is named, and is no fault."""
    if not missing:
        return (what, "can run", True, "")
    return (what, f"lacks {' '.join(missing)} (./habitus setup --gui)", True, "")


def cpu_flags():
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return []
    return next((line.split(":")[1].split() for line in text.splitlines() if line.startswith("flags")), [])


def memory():
    try:
        kilobytes = int(Path("/proc/meminfo").read_text().split()[1])
    except (OSError, ValueError):
        return "unknown"
    return f"{kilobytes / 2**20:.1f} GiB"


def free(folder):
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free // 1_000_000


def disk(folder):
    return f"{free(folder)} MB"


def version(program):
    if not shutil.which(program):
        return "missing"
    output = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
    return (output.splitlines() or ["present"])[0]


def gpu():
    if not shutil.which("nvidia-smi"):
        return "none (training runs on the CPU)"
    output = subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True).stdout
    return output.strip() or "none (nvidia-smi finds none)"


if __name__ == "__main__":
    main()
