"""A project and what its managers decide: settings, aspects with their weights, guideline, reason tags.

What labels refer to is never edited away: guidelines and weights get a new version, aspects and tags are retired.
"""
