"""The pages: forms, views and URLs on top of the rooms' actions.

A view checks access, reads the form, calls an action and answers; rules and writes belong to the actions. Nothing
below imports this package.
"""
