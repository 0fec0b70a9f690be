"""From a queued job to its result: `launch` starts engines, monitors them by file lock, and processes their results.

The database holds the state, and the lock says whether an engine lives, so any number of workers may do this at once.
"""
