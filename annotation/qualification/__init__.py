"""Qualification tests: annotators pass one before they work on a batch.

`tests` makes a test from staff answers and grades it through the answer's kind, `attempts` lets people take it,
`results` sums up. A test has items and attempts of its own, so nothing of it reaches the queue, a progress figure or a
dataset.
"""
