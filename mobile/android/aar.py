"""aar.py OUT.aar --classes JAR ABI=libpyvoc.so ...: an Android archive of built libraries.

For Gradle: the Kotlin classes and a library per ABI; for C and C++ of an app, the same libraries
with the headers as a prefab package: find_package(pyvoc), target pyvoc::pyvoc. Refuses libraries
that are of another processor, cannot be loaded on 16 KB pages, need the C++ runtime beside them, or
export what is not theirs (read with binutils' readelf, or the NDK's llvm-readelf in READELF).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MACHINES = {"arm64-v8a": "AArch64", "x86_64": "X86-64"}
PAGE = 16384
MANIFEST = """<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="pyvoc">
  <uses-sdk android:minSdkVersion="{api}" />
</manifest>
"""
KEPT = """-keep class pyvoc.Native { native <methods>; }
-keep class pyvoc.VocoderException { <init>(int, java.lang.String); }
"""


def problems_of(library: Path, abi: str) -> list[str]:
    """What keeps a library from being an app's on that ABI, a sentence each."""
    command = [os.environ.get("READELF", "readelf"), "-hldW", "--dyn-syms", str(library)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    problems = []
    if not re.search(rf"Machine:.*{MACHINES[abi]}", text, re.IGNORECASE):
        problems.append(f"{library} is not for {abi}")
    aligned = [int(a, 16) for a in re.findall(r"^ +LOAD .* (0x[0-9a-f]+)$", text, re.MULTILINE)]
    if not aligned or min(aligned) < PAGE:
        problems.append(f"{library}: segments aligned to {aligned}, expected {PAGE} or more")
    if "[libc++_shared.so]" in text:
        problems.append(f"{library} needs libc++_shared.so; build it with ANDROID_STL=c++_static")
    symbol = re.compile(r"^ *\d+: .* (?:GLOBAL|WEAK) +DEFAULT +\d+ (\S+)$", re.MULTILINE)
    exported = {name.split("@")[0] for name in symbol.findall(text)}
    strangers = sorted(n for n in exported if not n.startswith("pyvoc_") and n != "JNI_OnLoad")
    if strangers:
        problems.append(f"{library} exports {strangers[:3]}")
    absent = sorted({"JNI_OnLoad", "pyvoc_model_load"} - exported)
    return problems + [f"{library} lacks {name}" for name in absent]


def write(out: Path, classes: Path, libraries: dict[str, Path], version: str, api: int) -> None:
    """The archive."""
    headers = sorted((ROOT / "csrc/include/pyvoc").iterdir())
    module = "prefab/modules/pyvoc"
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as aar:
        aar.writestr("AndroidManifest.xml", MANIFEST.format(api=api))
        aar.writestr("R.txt", "")
        aar.writestr("proguard.txt", KEPT)
        aar.write(ROOT / "LICENSE", "LICENSE")
        aar.write(classes, "classes.jar")
        package = {"name": "pyvoc", "schema_version": 2, "dependencies": [], "version": version}
        aar.writestr("prefab/prefab.json", json.dumps(package))
        about = {"export_libraries": [], "library_name": "libpyvoc"}
        aar.writestr(f"{module}/module.json", json.dumps(about))
        for header in headers:
            aar.write(header, f"{module}/include/pyvoc/{header.name}")
        for abi, library in libraries.items():
            aar.write(library, f"jni/{abi}/libpyvoc.so")
            aar.write(library, f"{module}/libs/android.{abi}/libpyvoc.so")
            # No STL: the runtime is inside and nothing of it is seen.
            about = {"abi": abi, "api": api, "ndk": 27, "stl": "none", "static": False}
            aar.writestr(f"{module}/libs/android.{abi}/abi.json", json.dumps(about))


def main() -> int:
    parser = argparse.ArgumentParser(description="An Android archive of libraries that were built.")
    parser.add_argument("out", type=Path)
    parser.add_argument("libraries", nargs="+", metavar="ABI=LIBRARY", help=f"{list(MACHINES)}")
    parser.add_argument("--classes", type=Path, required=True, help="Vocoder.kt, compiled")
    parser.add_argument("--api", type=int, default=21, help="least Android API (21)")
    args = parser.parse_args()
    libraries = {abi: Path(path) for abi, _, path in (x.partition("=") for x in args.libraries)}
    unknown = sorted(set(libraries) - set(MACHINES))
    problems = [f"ABI {abi} is none of {', '.join(MACHINES)}" for abi in unknown]
    for abi in sorted(libraries.keys() - unknown):
        problems += problems_of(libraries[abi], abi)
    for problem in problems:
        print(f"aar.py: {problem}", file=sys.stderr)
    if problems:
        return 1
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.findall(r'^version = "(.+)"', project, re.MULTILINE)[0]
    write(args.out, args.classes, libraries, version, args.api)
    return 0


if __name__ == "__main__":
    sys.exit(main())
