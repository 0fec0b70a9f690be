"""People: accounts, sign-in, invitations, roles in projects, keyboard shortcuts.

Access to rows is checked in `core.access`, not here. Removing a member returns their tasks to the queue.
"""
