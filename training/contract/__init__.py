"""What both sides of a run directory share: configuration, file names, metrics, memory estimate. Standard library only.

`run_directory` names every file, `config` is run.json, `hyperparameters` and `metrics` declare each one once.
"""
