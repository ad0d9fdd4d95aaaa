"""`python -m builderbrain.gate`: evaluate, promote, rollback, list, verify, merge, trace, diff, train-judge.

Exit codes: 0 done, 1 the candidate may not be promoted (evaluate) or something does not verify (verify), 2 refused.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from builderbrain.errors import BuilderBrainError
from builderbrain.gate import THREAD_NAME
from builderbrain.gate.shipped import JUDGE


def parser() -> argparse.ArgumentParser:
    """The command line."""
    root = argparse.ArgumentParser(prog="python -m builderbrain.gate", description="Promote rail versions, or refuse to.")
    root.add_argument("--registry", type=Path, default=Path("versions"), help="folder of versions (default: versions)")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")

    evaluate = commands.add_parser("evaluate", help="run a candidate and live over the battery and record the verdict")
    evaluate.add_argument("candidate", help="a version of the registry, or a rail folder to add to it")
    evaluate.add_argument("--base", default=None, help="base model (default: the one the rail was trained for)")
    evaluate.add_argument("--battery", type=Path, nargs="+", default=None, help="JSONL files (default: the shipped ones)")
    evaluate.add_argument("--training-data", type=Path, nargs="*", default=[], help="JSONL files the candidate was trained on")
    evaluate.add_argument("--judge", type=Path, default=JUDGE, help="folder of the risk judge (default: the shipped one)")
    evaluate.add_argument("--limits", type=Path, default=None, help="JSON file that overrides limits of the rule")
    evaluate.add_argument("--temperature", type=float, default=0.0, help="of decoding (default: 0)")
    evaluate.add_argument("--seed", type=int, default=0, help="of decoding (default: 0)")
    evaluate.add_argument(
        "--max-tokens", type=_positive, default=None, help="of one plan; longer ones are cut (default: by domain)"
    )
    evaluate.add_argument("--timeout", type=float, default=60.0, help="seconds for one answer (default: 60)")
    evaluate.add_argument("--output", type=Path, default=None, help="also write the report to this JSON file")

    promote = commands.add_parser("promote", help="make an evaluated version live")
    promote.add_argument("candidate", help="a version of the registry, or a rail folder for an empty registry")
    for command in (promote, commands.add_parser("rollback", help="make the former live version live again")):
        command.add_argument("--expect", default=None, metavar="VERSION", help="refuse unless this version is live")
        if command is not promote:
            command.add_argument("--reason", default=None, help="why, for the audit log")
    commands.add_parser("list", help="show every version")
    verify = commands.add_parser("verify", help="check files, signatures, the pointer and the audit log")
    verify.add_argument("version", nargs="?", default=None, help="one version (default: everything)")

    merge = commands.add_parser("merge", help="merge two skills of the live version into a new candidate")
    merge.add_argument("keep", type=int, help="id of the skill that stays")
    merge.add_argument("give", type=int, help="id of the skill that is merged into it")
    merge.add_argument("--if-due", type=int, default=None, metavar="N", help="only after N promotions since the last merge")

    trace = commands.add_parser("trace", help="walk from an answer, or a version, to its training, data and report")
    trace.add_argument("answer", help="a JSON file with a reply of the server, or a version")
    trace.add_argument("--choice", type=int, default=0, help="which of several outputs (default: 0)")
    trace.add_argument("--token", type=int, default=None, help="place of a token in it, from 0 (default: all)")
    trace.add_argument("--output", type=Path, default=None, help="also write the walk to this JSON file")

    diff = commands.add_parser("diff", help="what is different between two versions")
    diff.add_argument("old", help="a version of the registry")
    diff.add_argument("new", help="an evaluated version of the registry")
    diff.add_argument("--html", type=Path, default=None, help="also write it to this page, with plots")

    judge = commands.add_parser("train-judge", help="fit the risk judge for a base, deterministically")
    judge.add_argument("--base", required=True, help="base model")
    judge.add_argument("--output", type=Path, required=True, help="folder to create")
    judge.add_argument("--seed", type=int, default=0, help="of the labelled answers (default: 0)")
    judge.add_argument("--labelled", type=Path, nargs="*", default=[], help="JSONL files of your own labelled answers")
    return root


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected an integer >= 1, got {value}")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = parser().parse_args(arguments)
    from builderbrain.gate import commands

    command = {
        "evaluate": commands.evaluate_candidate,
        "promote": commands.promote,
        "rollback": commands.rollback,
        "list": commands.list_versions,
        "verify": commands.verify,
        "merge": commands.merge,
        "trace": commands.trace,
        "diff": commands.diff,
        "train-judge": commands.train_judge_for,
    }[options.command]
    try:
        return command(options)
    except BuilderBrainError as error:
        print(f"{error.field or options.command}: {error.message}", file=sys.stderr)
    except OSError as error:
        print(f"{options.command}: {error}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    code = main()
    if any(thread.name.startswith(THREAD_NAME) for thread in threading.enumerate()):
        # A candidate that hangs in native code would abort the interpreter on its way out; the report is written.
        sys.stdout.flush()
        os._exit(code)
    raise SystemExit(code)
