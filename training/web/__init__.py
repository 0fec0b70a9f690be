"""Pages of training: `forms`, `views/` and `urls/`, on top of the same actions as the command line.

A view checks access, reads the form, calls an action and answers. No rule lives here.
"""
