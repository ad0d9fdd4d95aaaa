"""The promotion gate: a rail version goes live on evidence, or it does not.

`verdict` is the rule, `statistics` and `sequential` its mathematics. `evaluate` gathers the readings with the judge of
`risk` on the prompts of `battery`; `registry` keeps the versions and moves the pointer, `audit` remembers who did what.
"""

THREAD_NAME = "gate-evaluate"
"""Begins the names of the threads in which versions under evaluation are asked."""
