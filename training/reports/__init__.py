"""What pages and commands show of runs; read-only.

`progress` and `curves` read metrics.jsonl, `preflight` reads preflight.json, `diagnostics` explains the figures (one
function for each rule), `curve_verdict` judges a learning curve; `labels` names them, `gains` says what
labels bought; charts are those of `annotation.dashboards.charts`.
"""
