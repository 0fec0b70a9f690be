"""Withdrawal of consent: `withdraw` records it and takes the person and their answers out of the project, `erasing` and
`removal` delete texts and files, `reach` lists what contains the answers, `rebuilding` freezes versions again without
them, `receipts` signs that no promoted checkpoint contains them any more.

What was trained is known to `training`, which registers in `registry`. Frozen versions are superseded, never rewritten.
"""
