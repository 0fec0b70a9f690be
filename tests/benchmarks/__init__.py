"""Benchmarks: `python -m tests.benchmarks.<name>`; `make bench` runs them all and writes docs/benchmarks.md."""
