"""The trainers: plain Python programs that know a run directory but not the site.

This package is empty on purpose: the web side imports `training.contract.config` and `training.contract.run_directory`,
and must not reach torch by doing so.
"""
