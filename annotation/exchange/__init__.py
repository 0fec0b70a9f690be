"""Answers as files for other programs: every answer with what it is about, who gave it, when and why.

`selection` (which answers) → `source` (rows of the database, a few hundred at a time) → `records` (one record for each
version of an answer) → `writers` (JSONL, CSV or Parquet) → `export` (the whole file or none). `columns` declares every
column once: the writers, docs/exports.md and the tests read it. `requests` has what managers ask for on the page, and
`jobs` of the site run it. Datasets for training are another room, `annotation.datasets`.
"""
