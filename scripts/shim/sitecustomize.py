# SPDX-License-Identifier: MIT
"""Imported by every Python that starts with this folder on PYTHONPATH: puts the hooks of qdrant_loader_shim in place.

A Python that never imports the loader only gets a finder that looks at the names of imports. A sitecustomize that was
there before is run all the same: this one stands in front of it and hands over.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from os.path import abspath, dirname


def hand_over() -> None:
    """Runs the sitecustomize that Python would have run without this folder, under its own name."""
    here = dirname(abspath(__file__))
    spec = PathFinder.find_spec("sitecustomize", [entry for entry in sys.path if abspath(entry or ".") != here])
    if spec is not None and spec.loader is not None:
        from importlib.util import module_from_spec

        module = module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        # What it raises is its own, and told by `site` as it would be without us.
        spec.loader.exec_module(module)


try:
    from qdrant_loader_shim.hooks import install

    install()
except Exception as error:  # the program that starts here must start
    print(f"qdrant-loader shim: off: {type(error).__name__}: {error}", file=sys.stderr)
hand_over()
