"""Train every causal language model of the installed transformers, tiny, with our DPO trainer: see `__main__`."""
