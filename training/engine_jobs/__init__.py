"""Engine jobs: `queue` creates the row, the run directory and the event, and wakes the worker on commit.

`model_folders` decides which folders a model may be loaded from. Starting a process is the task of `supervision`.
"""
