"""The checks, one module a group; `catalogue` has them all."""
