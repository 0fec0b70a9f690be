"""What managers see of collection: counts and analyses → forecast, cost, people, trust. Read-only.

Figures come from the counts that triggers keep (`annotation.core.counts`), and from what jobs compute
(`annotation.analyses`). Nothing here writes; actions that a page offers live in the rooms of their subject.
"""
