"""From prompts to tasks to held slots: batches → task_selection → claims, manual_assignment → progress.

A slot changes its state in `claims`, `manual_assignment` and `answers` only, always as compare-and-set; constraints of
the models make two holders of a slot impossible.
"""
