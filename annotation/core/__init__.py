"""What every other room uses: access to rows, the event log, errors, Markdown, prepared SQL.

Nothing here imports another room. Rows are looked up through `access`; every write calls `events.record`, or puts
`events.insert_events` into its statement.
"""
