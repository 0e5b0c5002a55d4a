"""Entry of every sandbox process: `python -I -S start.py ROLE LIBRARIES ...` loads this folder as a package of its own.

Without `site`, no .pth file of the environment can run or load anything before the jail is closed.
"""

import importlib
import os
import sys
import types


def main() -> None:
    """Run one role; the parent package's __init__ is never executed, so its dependencies are not needed here."""
    package = types.ModuleType("inside")
    package.__path__ = [os.path.dirname(os.path.realpath(__file__))]
    sys.modules["inside"] = package
    sys.path += [folder for folder in sys.argv[2].split(os.pathsep) if folder]
    importlib.import_module(f"inside.{sys.argv[1]}").main(sys.argv[3:])


if __name__ == "__main__":
    main()
