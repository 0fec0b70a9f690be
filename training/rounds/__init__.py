"""Rounds, `lifecycle`: fresh prompts → output of the promoted checkpoint and its parent → a blind batch → comparison.

Changes data of `annotation` only through its actions.
"""
