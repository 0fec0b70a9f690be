"""A finished model at work: `scoring` (log-probabilities), `decoding` (texts), `metrics` (an evaluation's figures).

`batching` sorts by length and keeps batches within the free memory. A text or a score does not depend on its batch.
"""
