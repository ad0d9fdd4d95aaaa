"""What a clause may depend on: results of the skills, and what is asked for when they are so."""

# ruff: noqa: E501 - tables
from __future__ import annotations

import random
from dataclasses import dataclass

_NEGATED = {">": "<=", ">=": "<", "<": ">=", "<=": ">", "==": "!="}


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Something about a step of one of `skills`, the first of which a request can name with it.

    `so` is it in a plan, `unlike` the opposite, with `{s}` for the step. `compared` with a number from 2 up to that, both are `so`,
    with `{op}` and `{k}` for the comparison; 0 where nothing is compared. `actions` are kinds of clauses that may depend on it.
    """

    skills: tuple[str, ...]
    so: str
    actions: tuple[str, ...]
    unlike: str = ""
    compared: int = 0

    def drawn(self, step: str, rng: random.Random) -> tuple[str, str, str, int]:
        """It in the plan, its opposite, and the comparison with its number."""
        operator, number = rng.choice((">", ">", ">=", ">=", "<", "<=", "==")), rng.randint(2, self.compared or 2)
        found = [
            text.format(s=step, op=sign, k=number)
            for text, sign in ((self.so, operator), (self.unlike or self.so, _NEGATED[operator]))
        ]
        return found[0], found[1], operator, number


_TELL = ("say", "memory_add")
_PLACES = ("search", "list", "read")
_FAIL = ("open_faulty", "open_faulty", "say", "say_about", "remember_it", "memory_add", "search")
_TESTED = (
    "fix_them",
    "fix_them",
    "fix_them",
    "undo_fix",
    "undo_fix",
    "undo_fix",
    "open_faulty",
    "open_faulty",
    "say",
    "say_about",
    "remember_it",
    "memory_add",
)
_GREEN = ("type_check", "prove_suite", "evaluate", "train", "train", "docs_lint", *_TELL, "remember_it", "say_about")
CONDITIONS = {
    "if_hits": Condition(skills=("search",), so="{s}.count {op} {k}", actions=("open_hit", "open_hit", "open_last", "say", "say_about", "memory_add", "remember_it", *_PLACES), compared=50),
    "if_found": Condition(skills=("search",), so="{s}.count > 0", unlike="{s}.count == 0", actions=("open_hit", "open_hit", "open_last", "say", "say_about", "memory_add", "types_first", "test_first")),
    "if_none": Condition(skills=("search",), so="{s}.count == 0", unlike="{s}.count > 0", actions=("search", "search", "list", "say", "memory_search", "memory_add", "read")),
    "if_files": Condition(skills=("list",), so="{s}.count {op} {k}", actions=("open_listed", "open_listed", "open_last", "say", "say_about", "memory_add", "search", "docs_lint"), compared=50),
    "if_known": Condition(skills=("memory_search",), so="{s}.count > 0", unlike="{s}.count == 0", actions=("forget_found", "forget_found", "say", "say_about", "search")),
    "if_unknown": Condition(skills=("memory_search",), so="{s}.count == 0", unlike="{s}.count > 0", actions=("memory_add", "memory_add", "search", "search", "say", "read")),
    "if_failing": Condition(skills=("run_tests", "prove_suite"), so="not {s}.passed", unlike="{s}.passed", actions=_TESTED),
    "if_failed": Condition(skills=("run_tests", "prove_suite"), so="{s}.failed {op} {k}", actions=_TESTED, compared=30),
    "if_passing": Condition(skills=("run_tests", "prove_suite"), so="{s}.passed", unlike="not {s}.passed", actions=_GREEN),
    "if_ill_typed": Condition(skills=("type_check",), so="not {s}.passed", unlike="{s}.passed", actions=_FAIL),
    "if_type_errors": Condition(skills=("type_check",), so="{s}.count {op} {k}", actions=_FAIL, compared=40),
    "if_well_typed": Condition(skills=("type_check",), so="{s}.passed", unlike="not {s}.passed", actions=("run_tests", "run_tests", "prove_suite", "train", "evaluate", *_TELL)),
    "if_unclean": Condition(skills=("docs_lint",), so="not {s}.clean", unlike="{s}.clean", actions=_FAIL),
    "if_faults": Condition(skills=("docs_lint",), so="{s}.count {op} {k}", actions=_FAIL, compared=30),
    "if_clean": Condition(skills=("docs_lint",), so="{s}.clean", unlike="not {s}.clean", actions=("run_tests", "list", *_TELL, *_TELL)),
    "if_applies": Condition(skills=("patch_dry_run",), so="{s}.applies", unlike="not {s}.applies", actions=("fix_patch", "fix_patch", "fix_patch", *_TELL, "run_tests")),
    "if_refused": Condition(skills=("patch_dry_run",), so="not {s}.applies", unlike="{s}.applies", actions=("fix", "list", "search", *_TELL, "say_about")),
    "if_fixed": Condition(skills=("fix_tests",), so="{s}.fixed", unlike="not {s}.fixed", actions=("type_check", "run_tests", "prove_suite", *_TELL, "remember_it", "say_about")),
    "if_unfixed": Condition(skills=("fix_tests",), so="not {s}.fixed", unlike="{s}.fixed", actions=("undo_fix", "undo_fix", "search", *_TELL, "say_about")),
    "if_still_failing": Condition(skills=("fix_tests",), so="{s}.after {op} {k}", actions=("undo_fix", "undo_fix", *_TELL, "remember_it"), compared=20),
    "if_holds": Condition(skills=("prove_algebra",), so="{s}.holds", unlike="not {s}.holds", actions=(*_TELL, *_TELL, "remember_it", "say_about", "run_tests")),
    "if_false": Condition(skills=("prove_algebra",), so='{s}.verdict == "fails"', unlike='{s}.verdict != "fails"', actions=(*_TELL, *_TELL, "say_about", "search")),
    "if_undecided": Condition(skills=("prove_algebra",), so='{s}.verdict == "unknown"', unlike='{s}.verdict != "unknown"', actions=(*_TELL, *_TELL, "say_about", "search")),
    "if_right": Condition(skills=("evaluate",), so="{s}.right {op} {k}", actions=(*_TELL, *_TELL, "remember_it", "say_about", "train"), compared=64),
    "if_long": Condition(skills=("read",), so="{s}.lines {op} {k}", actions=(*_TELL, "say_about", "remember_it", "list", "search"), compared=2000),
}  # fmt: skip
"""By kind."""
