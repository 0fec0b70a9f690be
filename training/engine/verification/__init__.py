"""Verify a DPO trainer: checks with known answers, run against any trainer. `python -m training.engine.verify` runs it.

`jobs` (what a check asks, what a trainer answers) → `adapters` (trainers behind that interface) → `bench` (tiny random
models and pairs, trainings run once) → `checks` (one module a group) → `suite` and `report`.

`oracle` holds the right answers: plain forwards, one sequence at a time, and the losses written out again. It
shares no code with the trainers here; an oracle that did would agree with their faults.
"""
