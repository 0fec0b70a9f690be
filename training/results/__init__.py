"""What engine jobs produce: `checkpoints` (registered, lineage, promotion), `evaluations` and `generations`.

Evaluations and generations queue their jobs and ingest the results. Rounds, runs and reports build on this package.
"""
