"""Whether a secret key could be guessed."""

from itertools import pairwise

SHORTEST, FEWEST_DIFFERENT = 32, 10
PLACEHOLDERS = (
    "django-insecure-",
    "changeme",
    "change-me",
    "change_me",
    "secret-key",
    "secret_key",
    "your-",
    "example",
)


def weakness(key: str) -> str:
    """Why the key is not a random one, in a few words; empty if it looks random."""
    key = key.strip()
    if not key:
        return "none is set"
    if len(key) < SHORTEST:
        return f"it has {len(key)}"
    if len(set(key)) < FEWEST_DIFFERENT:
        return f"it has only {len(set(key))} different ones"
    if any(key[period:] == key[:-period] for period in range(1, len(key) // 2 + 1)):
        return "it repeats itself"
    steps = [ord(after) - ord(before) for before, after in pairwise(key)]
    if sum(abs(step) <= 1 for step in steps) > len(steps) / 2:
        return "it counts up or down"
    if any(word in key.lower() for word in PLACEHOLDERS):
        return "it is a placeholder"
    return ""
