"""Train every text decoder of the installed transformers, tiny, with our DPO trainer: see `__main__`."""
