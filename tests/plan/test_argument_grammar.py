"""The grammar of one argument: what may stand behind its name in the domain's own grammar, and nothing else."""

from __future__ import annotations

import pytest

from builderbrain.errors import SchemaError
from builderbrain.plan.ebnf import argument_grammar
from tests.plan.conftest import byte_acceptor

CASES = [
    (("repo_assistant", 1, "search", "pattern", 1), ['"gate"', '"a\\n"'], ['""', "gate", '"a",path="b"', "s1.text"]),
    (("repo_assistant", 1, "read", "path", 3), ['"a/b.md"', "s1.first_path", "s2.path"], ["s3.path", "s1.count", '""']),
    (("repo_assistant", 1, "talk", "about", 2), ['""', "s1.text"], ["s1.path", "s2.text"]),
    (("scan", 1, "do", "way", 1), ['"opposite"', '"around"'], ['"left"', ""]),
    (("scan", 1, "then", "b", 3), ["s1.actions", "s2.actions"], ["s3.actions", '["a"]']),
    (("robot_cell", 1, "grasp", "force_n", 2), ["12", "s1.force_n"], ["1.5", '"12"']),
    (("phone_flow", 1, "verify", "method", 2), ['"pin"'], ['"face"']),
]


@pytest.mark.parametrize(("which", "legal", "illegal"), CASES)
def test_an_argument_has_the_values_that_it_has_in_a_plan(
    which: tuple[str, int, str, str, int], legal: list[str], illegal: list[str]
) -> None:
    accepts = byte_acceptor(argument_grammar(*which))
    assert [text for text in legal if not accepts(text)] == []
    assert [text for text in illegal if accepts(text)] == []


@pytest.mark.parametrize("which", [("scan", 1, "then", "a", 1), ("scan", 1, "do", "acts", 1), ("scan", 1, "do", "act", 9)])
def test_what_is_not_there_is_refused_by_name(which: tuple[str, int, str, str, int]) -> None:
    with pytest.raises(SchemaError, match=which[3]):
        argument_grammar(*which)
