"""From a file to rows that can be trusted: format → columns → prompts. Pure Python, no Django, no database.

files          what a file really is
encodings      in which encoding its text is written
formats        CSV, TSV, JSONL and Parquet as one stream of numbered rows
mapping        which column means what, told or detected
cells          what a cell may hold; the faults of a row
chats          messages, in the layouts that people have
answers        candidates: texts, chats, lists of texts or of answer objects
prompts        a row → a prompt with its candidates, or its faults
rejected_rows  the faults as a table, and the rows that were not kept
"""
