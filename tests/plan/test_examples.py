"""The example plans that ship: checked as they stand, and wide enough that running steps side by side pays."""

from pathlib import Path

import pytest

from builderbrain.plan import check, parse_text, print_text

FOLDER = Path(__file__).parent.parent.parent / "examples" / "plans"
EXAMPLES = [pytest.param(path, id=f"{path.parent.name}/{path.stem}") for path in sorted(FOLDER.glob("*/*.plan"))]


def test_there_are_examples():
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize("path", EXAMPLES)
def test_an_example_is_accepted_in_its_normal_spelling_and_has_steps_side_by_side(path):
    text = path.read_text(encoding="utf-8")
    plan = parse_text(text, domain=path.parent.name)
    assert check(plan).faults == ()
    assert print_text(plan) == text.removesuffix("\n")
    depth = {}
    for step in plan.steps:
        depth[step.id] = 1 + max((depth[need] for need in step.needs), default=0)
    assert len(plan.steps) >= 3 * max(depth.values())
