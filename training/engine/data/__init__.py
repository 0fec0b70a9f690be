"""Frozen rows to token ids: read → check columns → drop ties → tokenize → check stop tokens → truncate to max_length.

`prepare.training_sequences` runs all steps; every row left out is counted. `leakage` and `subsets` need no tokenizer.
Imports nothing of the engine.
"""
