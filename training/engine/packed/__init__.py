"""Packed rows: prompts and common prefixes are computed once, and micro-batches are cut to a token budget.

`layout` (rows to tensors and masks) → `step` (an effective batch in micro-batches) → `forward` (log-probabilities of
the scored tokens) and `reference_cache` (those of the reference model, kept across runs). Whatever changes here must
stay equal to TRL: tests/engine/trainers/test_equality.py.
"""
