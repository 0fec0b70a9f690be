"""Datasets: labels → rows → files, frozen under the sha256 of their content.

`labels` reads current annotations prompt by prompt, `rows` turns them into rows by asking their kinds for votes,
`files` writes JSONL and Parquet, `freeze` checks for leaks and registers the version. The sha256 of a dataset that was
frozen must never change: the order of rows and votes, the keys of a row and the encoding are part of it.
"""
