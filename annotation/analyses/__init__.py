"""What answers say about themselves: source → columns → bias, pace, runs, disagreement, people → stored results.

Everything between the source and the stored result is pure: arrays in, numbers out, None where there is too little to
say. It runs in jobs (`annotation.jobs.analyse_project`) and in `manage.py analyse`, never in a request; pages read
`Analysis` and `AnalysisRows`.
"""
