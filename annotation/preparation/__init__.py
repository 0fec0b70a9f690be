"""From a file to rows that can be trusted: format → columns → prompts. Pure Python, no Django, no database.

files    what a file really is, and in which encoding
formats  CSV, TSV, JSONL and Parquet as one stream of numbered rows
mapping  which column means what, told or detected
prompts  a row → a prompt with its candidates, or its faults
digests  the sha256 by which equal texts are known
"""
