# SPDX-License-Identifier: MIT
"""Counts what the QDrant Loader does not count itself, from inside its process and without changing it.

hooks.py    which methods are wrapped, the import hook that does it, and the wrappers
watches.py  what a call of each of them means: items, bytes, outcome
stage.py    a stage and its calls; backlog.py: what lies between two stages
metrics.py  the metrics, in prometheus_client's multiprocess files
"""
