"""How values are said that a clause may leave out, and what is remembered and answered; `{k}` is a number."""

# ruff: noqa: E501 - tables of phrases
from __future__ import annotations

SUBJECTS = ("the assistant", "the builder", "somebody", "the machine")
COMPARED = {
    ">": ("more than {k}", "more than {k}", "over {k}", "above {k}"),
    ">=": ("at least {k}", "at least {k}", "{k} or more", "no fewer than {k}"),
    "<": ("fewer than {k}", "less than {k}", "under {k}", "below {k}"),
    "<=": ("at most {k}", "no more than {k}", "{k} or fewer", "up to {k}"),
    "==": ("exactly {k}", "just {k}"),
}
LIMIT = (
    ", at most {k} entries",
    ", no more than {k} entries",
    ", up to {k} of them",
    " and give me at most {k}",
    ", {k} entries at most",
    " (at most {k})",
    ", the best {k}",
)
MARKER = (
    " with the marker {m}",
    " marked {m}",
    " marked as {m}",
    " of the marker {m}",
    " (marker {m})",
    " that are marked {m}",
)
PLACES = ("in", "in", "in", "under", "below", "inside", "of", "within")
BENCHES = {
    "plan-bench": ("plan-bench", "the plan bench", "the bench of plans", "plan bench"),
    "brain-bench": ("brain-bench", "the brain bench", "brain bench"),
    "held-out": ("held-out", "the held-out bench", "the held-out goals", "the goals that were held out"),
    "wordings": ("wordings", "the wordings bench", "the bench of wordings", "the wordings"),
}
ON_BENCH = (" on {bench}", " on {bench}", " with {bench}", " by {bench}", " against {bench}")
BUNDLED = ("the rail", "the bundled rail", "the shipped rail", "the rail that we ship", "the builder")
RAIL = ("the rail {rail}", "the rail in {rail}", "{rail}", "the rail at {rail}", "the rail from {rail}")
ON_RAIL = (" on {rail}", " with {rail}", " for {rail}")
DATA = {
    "repo_assistant": (" on repo_assistant", " on the goals of repo_assistant", " with data repo_assistant", " on repository goals", " for the repository assistant"),
    "scan": (" on scan", " on the scan data", " with data scan", " on the SCAN commands", " for scan"),
}  # fmt: skip
STEPS = (" for {k} steps", " with {k} steps", " in {k} steps", " and {k} steps", " over {k} steps")
SEED = (" with seed {k}", " from seed {k}", " and seed {k}", " seed {k}", " using seed {k}")
MINUTES = (
    " for at most {k} minutes",
    " in no more than {k} minutes",
    " and {k} minutes at most",
    " within {k} minutes",
    " for {k} minutes",
)

NOTES = (
    "{n} owns the {x}", "the {x} is slow", "the {x} needs {y}", "{x} is done on {d}", "ask {n} about the {x}", "never touch the {x}", "{x} fails on {d}", "the {x} moved to {y}", "release on {d} at {h}",
    "{n} is away until {d}", "the limit is {k}", "use {x} and not {y}", "{x}", "{x} {y}", "the {x} of {n} is broken", "we ship {k} on {d}", "port {k} is taken", "{n} prefers {x}", "{x} before {y}", "{n} said yes",
)  # fmt: skip
REPLIES = (
    "Done", "All green", "Nothing to do", "Look at the {x}", "Hello {n}", "It is {k}", "The {x} is fine", "Ask {n}", "Ready on {d}", "See the {x}", "{n} has to look", "That was it", "Not yet",
    "The {x} needs {y}", "No {x} here", "Too many", "Good news, {n}", "{x}", "{x} {y}", "Please wait until {h}", "We are at {k}", "Nothing found", "Everything works", "Stop here", "All is well",
)  # fmt: skip
