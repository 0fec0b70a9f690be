"""What every engine program runs in: lock, environment, signals, processes, trackers, result.json.

`program.main` starts a program with a `run.Run` and writes the `run.Outcome`. Free of torch at import: everything else
in the engine may import this package, and it imports nothing of the engine.
"""
