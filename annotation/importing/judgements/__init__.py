"""Judgements that people gave elsewhere, as such: who said what of which texts, and when.

mapping     which columns say it
detection   what their names and the first rows suggest
cells       who, when, how long
naming      what the answers of a row may call its texts
numbers     what numbers mean as answers
verdicts    an answer that compares texts → which of them is better
scores      an answer that scores texts, and the scales of a file
answers     a row → its recorded answers, or what is wrong with them
answer_cells  where the answers of a row stand
census      what only the whole file shows: which numbers and which scores occur
understanding  what columns and answers mean, from the whole file
reading     rows → prompts with their answers
survey      what an import of a file would do, before anything is written
staging     the staging table of answers
people      workers → accounts
aspects     scales → aspects of the project
writing     staged answers → tasks, assignments and annotations of one closed batch
report      what was read and left out, in sentences
run         the import
uploads     an uploaded file's way to it
"""
