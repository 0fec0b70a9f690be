"""Lint steps of our own: prose and licences (`python -m tests.lint.<name>`), and the contract types of lint-imports."""
