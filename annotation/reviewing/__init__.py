"""Review: the queue of answers that reviewers should look at, what they decide, and what the author replies.

`queue` hands an answer to one reviewer at a time, `verdicts` records what they decided, `worktime` their seconds,
`figures` counts. `disagreements` hands a task whose annotators disagree to one reviewer at a time, worst first, and
`adjudication` records their final decision on it; `threshold` says how much they must disagree. What was decided never
changes an answer; `annotation.core.reviews` says which answers count.
"""
