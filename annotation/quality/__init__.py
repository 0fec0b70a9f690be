"""What answers are worth as evidence: source → agreement, aggregation, calibration → stored results.

source       a project's answers → reading, of whole prompts (answers) → columns of units, people and values (material)
agreement    percent, Cohen, Fleiss, Krippendorff, with intervals that draw whole tasks
texts        chrF, edit rate and marks of two people who wrote, edited or marked the same thing
orders       Kendall's tau-b of rankings
aggregation  answers → majority, or the posterior of Dawid and Skene
calibration  a posterior → a probability that is right as often as it says, by gold
adaptive     which units need one more answer
doubt        how sure the labels are → how doubtful tasks are
overlap      one more answer for the unsure tasks of adaptive batches
rankings     pairs of origins → strengths and win rates (Bradley-Terry with ties)
position     who follows the side of the page; claimed only where sides were drawn at random
score_scale  scores in units of their annotator's own scale
flips        who takes the wrong side, by gold
marks        marked errors → penalty points (MQM)
labels       what people chose between two texts → votes, posterior and calibrated posterior, side by side
arms         the same, ties and margins, by how tasks were selected
agreements   agreement by measure, batch, week, pair of people, as JSON
results      all of it as JSON, for the Quality page
run          computes, stores, and says what is due

Everything but `source`, `overlap` and `run` is pure: arrays in, numbers out. It runs in jobs and commands, never in a
request.
"""
