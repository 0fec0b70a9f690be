"""The training commands: `training` (options, run, evaluation), `learning_curve`, `progress` (the live line).

They call the same actions as the web pages; management commands import them and add nothing of their own.
"""
