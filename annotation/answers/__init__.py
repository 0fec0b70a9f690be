"""An annotator's answers: draft → submit or skip → undo, change; working time, time sheets, remarks.

`submission` is the only module that writes answers; all its actions are idempotent. `worktime` bounds
what a page counts.
"""
