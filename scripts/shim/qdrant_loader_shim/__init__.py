# SPDX-License-Identifier: MIT
"""Counts what the QDrant Loader does not count itself, from inside its process and without changing it.

hooks.py    which methods are wrapped, the import hook that does it, and the wrappers
watches.py  what a call of each of them means: stage, items, outcome, backlog
metrics.py  the metrics, in prometheus_client's multiprocess files
"""
