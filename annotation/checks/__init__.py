"""Tasks in the stream that check people: hidden gold, practice items, repeats and damaged twins.

gold       tasks whose right answer is known: made from decisions and reviews, or entered
damage     a text → the same text made worse by a named rule; pure
shares     how many checks a batch gets, and putting them in
results    what people's answers to them say, with intervals
feedback   what somebody is told after a practice item
requeue    a person's answers of a batch are excluded, and their slots open again
rules      what a manager is asked to decide about somebody; nothing happens before they confirm

`queue.check_tasks` puts them where nothing tells them from other tasks; `core.checks` keeps their answers out of
labels.
"""
