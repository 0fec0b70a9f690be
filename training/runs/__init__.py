"""Runs: `options` (hyper-parameters to and from a command line) → `create` (row and run directory) → the queue.

`learning_curves` creates runs on nested fractions of one dataset.
"""
