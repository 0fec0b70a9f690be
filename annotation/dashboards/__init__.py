"""What managers see of collection: counts → forecast, cost, people, what needs attention. Read-only.

Figures come from the counts that triggers keep (`annotation.core.counts`). Nothing here writes; actions that a page
offers live in the rooms of their subject.
"""
