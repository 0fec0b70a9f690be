"""What both sides of a run directory share: configuration, file names, metrics, memory estimate. Standard library only.

`run_directory` names every file, `config` is run.json, `hyperparameters` and `metrics` declare each one once; `errors`
are the failures that name a remedy. `statistics` has the intervals of held-out figures. `model_shape` and `hardware` →
`memory_estimate`. A change here affects run directories that already exist.
"""
