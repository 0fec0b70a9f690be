"""What a collection will take, before it is paid for: a pilot's answers → hours, days, money, agreement, power.

`pilot` reads, `statistics` and `workload` compute (pure, numpy), `estimate` puts both together, `actions` keeps a plan,
`comparison` sets it beside what happens, and `sentences` says all of it in words. It runs in the request: a pilot is
small, and what is read is bounded (`pilot.MOST_ANSWERS`), so a job would only add an age to figures that change with
every setting in the address.
"""
