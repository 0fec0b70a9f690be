"""The guideline debugger: which disagreements are the guideline's fault, and whether a clause helps.

grouping  decided tasks by cause, and by whether the best people disagree with the crowd
clauses   a proposed clause with the tasks it is about: written, adopted or discarded by a manager
trial     the same tasks again, in two batches: half of the annotators see each version
results   agreement of both arms and its difference, with intervals; computed in jobs

Answers of a trial are no labels: `annotation.core.trials` keeps them out of everything that reads labels.
"""
