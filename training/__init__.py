"""Rounds, runs, checkpoints and evaluations; `training.engine` holds the trainers themselves."""
