"""The training loop: `setup` (model, arguments) → `packed_setup` (packed rows or plain TRL) → `preflight` → `training`.

`packed_trainer` with `preference` and `losses`, or with `supervised`, trains on packed rows; `plain_trl` is the
fallback, and the only one for KTO. `callbacks` writes metrics.jsonl. Only the programs may import this package.
"""
