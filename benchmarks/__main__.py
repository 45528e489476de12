"""`python -m benchmarks [NAME …]` prints every figure of the README, each against its budget and its named peer."""

from __future__ import annotations

import argparse
from importlib import import_module

from benchmarks.figure import Figure, table

MODULES = (
    "rasterizer",
    "mesh",
    "posing",
    "creation",
    "startup",
    "video",
    "wire",
    "viewer",
    "speech",
    "guidance",
    "trigrid",
    "generator",
    "reconstruction",
    "initialization",
    "portrait3d",
    "visitors",
)


def main() -> None:
    """Run the named benchmarks, or all of them, one after the other so that they do not disturb each other."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MODULES))
    names = parser.parse_args().names or MODULES
    if unknown := [name for name in names if name not in MODULES]:
        parser.error(f"there is no benchmark {unknown[0]!r}; choose from {', '.join(MODULES)}")
    figures: list[Figure] = []
    for name in names:
        figures += import_module(f"benchmarks.{name}").run()
    print(table(figures))


if __name__ == "__main__":
    main()
