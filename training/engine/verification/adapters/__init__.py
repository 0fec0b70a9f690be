"""Trainers behind the interface of `jobs.Trainer`: `konomi` (ours), `plain_trl` (TRL as its documentation has it)."""
