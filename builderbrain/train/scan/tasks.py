"""SCAN as a row of tasks, each of which adds one thing to say to those before it.

    verb    walk, turn left                        way     turn around left, walk opposite right
    times   turn around left twice                 and     walk twice and turn around left
    after   walk twice after turn around left

A command is of the task of the latest thing it says; it may say all that comes earlier in the row. So whoever has learned a
task has learned a part of every later one.
"""

from __future__ import annotations

from typing import Literal, get_args

from builderbrain.domains.scan import parse_command

Task = Literal["verb", "way", "times", "and", "after"]
TASKS: tuple[Task, ...] = get_args(Task)


def task_of(command: str) -> Task:
    """The task of a command.

    Raises:
        ScanError: the command cannot be read.
    """
    read = parse_command(command)
    if read.joiner is not None:
        return "and" if read.joiner == "and" else "after"
    (clause,) = read.clauses
    if clause.times is not None:
        return "times"
    return "verb" if clause.way is None else "way"
