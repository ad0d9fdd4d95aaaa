"""`python -m builderbrain.eval`: the suites, and training of the baselines.

Exit status: 0 measured, 1 measured and failed (a suite that promises 0 faults found one, or a score below `--least`),
2 unusable input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from builderbrain.config import load_config
from builderbrain.errors import BuilderBrainError, SubjectError
from builderbrain.eval.bench import SUITE_NAMES, domain_benches, load_domain_bench
from builderbrain.eval.deferral_command import add_deferral, run_deferral
from builderbrain.eval.toolgraph_subjects import SUBJECTS
from builderbrain.eval.toolgraph_task import load_task
from builderbrain.eval.workbench import SUBJECT_NAMES, Workbench
from builderbrain.gate.shipped import JUDGE
from builderbrain.hosts.load import NANO
from builderbrain.hosts.quantization import Quantization

DESCRIPTIONS = {
    "plan-bench": "21 goals: is the decoded plan the reference?",
    "brain-bench": "64 goals: intent, first action and slots",
    "held-out": "165 goals: unusual wordings, unseen names, three-step compositions",
    "wordings": "79 goals as other people word them, one or two steps",
}


def build_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    base = argparse.ArgumentParser(add_help=False)
    base.add_argument("--model", default=NANO, help=f"base: a folder, a hub name or {NANO} (default)")
    base.add_argument("--quantization", default="none", choices=get_args(Quantization), help="how the base's weights are kept")
    base.add_argument("--device", help="cpu, cuda or cuda:N (default: the first CUDA device, else the CPU)")
    base.add_argument("--rail", metavar="FOLDER", help="rail; {seed} in it stands for the seed (default: the bundled one)")
    report = argparse.ArgumentParser(add_help=False)
    report.add_argument("--json", metavar="FILE", type=Path, required=True, help="write the report here, its plot beside it")
    report.add_argument("--lora", metavar="FOLDER", help="LoRA adapter of the subject lora; {seed} in it stands for the seed")
    report.add_argument("--seeds", metavar="N", type=int, nargs="+", default=[], help="seeds of rails and adapters")

    parser = argparse.ArgumentParser(prog="python -m builderbrain.eval", description="Measure what a rail can do.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in SUITE_NAMES:
        suite = commands.add_parser(name, parents=[base, report], help=DESCRIPTIONS[name])
        suite.add_argument(
            "--subject",
            action="append",
            choices=SUBJECT_NAMES,
            help="what to measure; give it several times to compare (default: rail)",
        )
        suite.add_argument("--least", type=float, metavar="SHARE", help="fail when the first subject's score is below this")
    domains = commands.add_parser(
        "domain-bench",
        parents=[base, report],
        help="50 held-out goals of another domain: is the decoded plan valid, and the reference?",
    )
    domains.add_argument("--domain", metavar="NAME", required=True, help=f"one of {', '.join(domain_benches())}")
    domains.add_argument(
        "--subject",
        action="append",
        choices=SUBJECT_NAMES,
        help="what to measure; give it several times to compare (default: rail and base)",
    )
    domains.add_argument("--goals", metavar="FILE", type=Path, help="other goals of the domain (default: the held-out ones)")
    domains.add_argument("--temperature", type=float, default=0.0, help="of every draw (default: 0)")
    domains.add_argument("--seed", type=int, default=0, help="of the draws (default: 0)")
    domains.add_argument("--introduce", action="store_true", help="say the domain before every goal, as to a rail of several")
    domains.add_argument("--least", type=float, metavar="SHARE", help="fail when the first subject's score is below this")
    syntax = commands.add_parser("syntax", parents=[base, report], help="strict outputs at a hot temperature: 0 may be invalid")
    syntax.add_argument("--subject", default="rail", choices=("rail", "base", "lora"), help="what to measure (default: rail)")
    syntax.add_argument("--generations", type=int, default=1000, help="number of outputs (default: 1000)")
    syntax.add_argument("--temperature", type=float, default=1.5, help="of every draw (default: 1.5)")
    syntax.add_argument("--seed", type=int, default=0, help="of the draws (default: 0)")
    sure = commands.add_parser(
        "calibration", parents=[base, report], help="how sure of its plans a rail is, how often right, and deferral"
    )
    sure.add_argument(
        "--goals", metavar="N", type=int, default=1000, help="generated goals in each of the three sets (default: 1000)"
    )
    sure.add_argument("--save", metavar="FILE", help="write the fitted confidence here; {seed} in it stands for the seed")
    add_deferral(commands, base, report)
    takeover = commands.add_parser(
        "takeover", parents=[base, report], help="what a rail can do, and what it does to safety, as its budget grows"
    )
    takeover.add_argument(
        "--budgets", metavar="A", type=float, nargs="+", default=[], help="in [0, 1] (default: 0, 0.05 ... 0.5, 0.7, 1)"
    )
    takeover.add_argument(
        "--goals", metavar="N", type=int, default=200, help="left-out compositions, and as many other goals (default: 200)"
    )
    takeover.add_argument("--prompts", metavar="N", type=int, default=0, help="red-team prompts, 0 for all (default)")
    takeover.add_argument(
        "--judge", metavar="FOLDER", type=Path, default=JUDGE, help="of the risk judge (default: the shipped one)"
    )
    graph = commands.add_parser("toolgraph", help="plans for requests over a graph of tools: node-F1, link-F1, exact match")
    graph.add_argument(
        "--train", metavar="FILE", type=Path, required=True, help="rows in TaskBench's layout, .jsonl or .jsonl.gz"
    )
    graph.add_argument("--test", metavar="FILE", type=Path, help="rows to answer (default: a validation cut of --train)")
    graph.add_argument(
        "--graph", metavar="FOLDER", type=Path, help="of tool_desc.json, graph_desc.json (default: that of --train)"
    )
    graph.add_argument("--cut", metavar="SHARE", type=float, default=0.1, help="validation cut without --test (default: 0.1)")
    graph.add_argument("--seed", type=int, default=0, help="of the validation cut (default: 0)")
    graph.add_argument(
        "--subject",
        action="append",
        metavar="SUBJECT",
        help=f"{', '.join(SUBJECTS)}, or [LABEL=]FOLDER of a rail or a LoRA; may be repeated (default: nearest)",
    )
    graph.add_argument("--model", default=NANO, help=f"base of rails and LoRAs: a folder, a hub name or {NANO} (default)")
    graph.add_argument("--device", help="cpu, cuda or cuda:N (default: the first CUDA device, else the CPU)")
    graph.add_argument("--json", metavar="FILE", type=Path, help="write the report here, its plot beside it")
    _add_scan_suites(commands)
    asking = commands.add_parser("evsi", help="the value of asking: a world model's gate against always and never calling")
    asking.add_argument("--world", metavar="FOLDER", required=True, help="world model; {seed} in it stands for the seed")
    asking.add_argument("--policy", metavar="FOLDER", help="policy trained in that world model; {seed} as above")
    asking.add_argument("--seeds", metavar="N", type=int, nargs="+", default=[0], help="seeds of the world models (default: 0)")
    asking.add_argument("--sessions", metavar="N", type=int, default=100, help="sessions of each domain (default: 100)")
    asking.add_argument(
        "--sessions-seed", metavar="N", type=int, default=100_000, help="of the sessions; not the training's (default: 100000)"
    )
    asking.add_argument("--json", metavar="FILE", type=Path, help="write the report here, its plot beside it")
    stack = commands.add_parser("stacking", help="steps until a task is mastered, with and without the tasks it is composed of")
    stack.add_argument("--json", metavar="FILE", type=Path, required=True, help="write the report here, its plot beside it")
    stack.add_argument("--folder", metavar="FOLDER", type=Path, required=True, help="where the rails go")
    stack.add_argument("--seeds", metavar="N", type=int, nargs="+", default=[0], help="of the runs (default: 0)")
    stack.add_argument(
        "overrides", nargs="*", metavar="key=value", help="as for builderbrain.train; steps is the most that a task gets"
    )
    decisions = commands.add_parser(
        "fit-decisions", parents=[base], help="fit the calibration that /v1/decisions is served with"
    )
    decisions.add_argument(
        "questions", metavar="FILE", type=Path, help="JSONL of {input, question, answer}, as /v1/decisions asks"
    )
    decisions.add_argument("--save", metavar="FILE", type=Path, required=True, help="write the fitted calibration here")
    decisions.add_argument("--registry", metavar="FOLDER", default="versions", help="of the live rail (default: versions)")
    decisions.add_argument(
        "--served", metavar="MODEL", help="model name to ask, such as NAME:base (default: the server's default)"
    )
    decisions.add_argument(
        "--levels",
        metavar="SHARE",
        type=float,
        nargs="+",
        default=[],
        help="error levels to abstain at (default: 0.05 0.1 0.2)",
    )
    decisions.add_argument("--seed", type=int, default=0, help="of the split (default: 0)")
    decisions.add_argument("--deferral", metavar="FOLDER", type=Path, help="write the thresholds of --domain here")
    decisions.add_argument("--domain", metavar="NAME", default="chat_social", help="of the questions (default: chat_social)")
    for kind, what in (("lora", "a LoRA as large as the rail"), ("full", "all weights of a copy of the base")):
        train = commands.add_parser(f"train-{kind}", help=f"train {what} on the rail's batches")
        train.add_argument(
            "--out",
            metavar="FOLDER",
            type=Path,
            required=True,
            help="where it goes; must not exist; a run that was cut off goes on",
        )
        train.add_argument(
            "--start",
            metavar="FOLDER",
            type=Path,
            help="of a LoRA to go on from, as start=FOLDER is for a rail (default: the base)",
        )
        if kind == "lora":
            train.add_argument(
                "--parameters", type=int, help="trained ones of a LoRA, as far as a whole rank allows (default: the rail's)"
            )
        train.add_argument("--learning-rate", type=float, help="of AdamW at its peak (default: 2e-3 for a LoRA, 1e-3 for all)")
        train.add_argument(
            "overrides", nargs="*", metavar="key=value", help="as for builderbrain.train, e.g. seed=1 data=scan steps=600"
        )
    return parser


def _add_scan_suites(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    scan = argparse.ArgumentParser(add_help=False)
    scan.add_argument("--model", default=NANO, help=f"base: a folder, a hub name or {NANO} (default)")
    scan.add_argument("--device", help="cpu, cuda or cuda:N (default: the first CUDA device, else the CPU)")
    scan.add_argument("--splits", metavar="SPLIT", nargs="+", default=[], help="which splits (default: all five)")
    scan.add_argument("--seeds", metavar="N", type=int, nargs="+", default=[], help="seeds of the folders")
    scan.add_argument(
        "--commands", metavar="N", type=int, default=500, help="commands of each test part, 0 for all (default: 500)"
    )
    scan.add_argument("--json", metavar="FILE", type=Path, help="write the report here, its plot beside it")
    composition = commands.add_parser(
        "composition", parents=[scan], help="SCAN's splits: commands as plans, rails beside LoRA and full tuning"
    )
    composition.add_argument(
        "--subject",
        action="append",
        metavar="[LABEL=]FOLDER",
        required=True,
        help="folder of rails, LoRAs or tuned bases, where {split} and {seed} stand for theirs; or nearest; may be repeated",
    )
    ablation = commands.add_parser("ablation", parents=[scan], help="what it costs to take a pinned skill away")
    ablation.add_argument(
        "--subject", metavar="FOLDER", required=True, help="folder of rails, where {split} and {seed} stand for theirs"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = build_parser().parse_args(arguments)
    from builderbrain.eval import commands  # reads models, only once the options are sound
    from builderbrain.train.spoken.joint import introduction

    try:
        _check(options)
        if options.command == "toolgraph":
            task = load_task(options.train, options.test, graph=options.graph, cut=options.cut, seed=options.seed)
            subjects = tuple(dict.fromkeys(options.subject or ["nearest"]))
            return commands.measure_toolgraph(task, subjects, options.json, model=options.model, device=options.device)
        if options.command in ("train-lora", "train-full"):
            return _train_baseline(options)
        if options.command == "stacking":
            return _measure_stacking(options)
        if options.command in ("composition", "ablation"):
            return _measure_scan(options)
        if options.command == "evsi":
            return _measure_asking(options)
        if options.command == "fit-decisions":
            return _fit_decisions(options)
        bench = load_domain_bench(options.domain, options.goals) if options.command == "domain-bench" else None
        workbench = Workbench(
            model=options.model,
            quantization=options.quantization,
            device=options.device,
            rail=options.rail,
            lora=options.lora,
            seeds=tuple(options.seeds),
            domain=bench.domain if bench else "repo_assistant",
            version=bench.version if bench else None,
            temperature=options.temperature if bench else 0.0,
            draw_seed=options.seed if bench else 0,
            introduction=introduction(options.domain) if bench and options.introduce else "",
        )
        if bench:
            from builderbrain.eval.measure_domain import measure_domain

            subjects = tuple(dict.fromkeys(options.subject or ["rail", "base"]))
            return measure_domain(workbench, bench, subjects, options.json, least=options.least)
        if options.command == "calibration":
            from builderbrain.eval.measure_calibration import measure_calibration

            return measure_calibration(
                workbench, options.json, seeds=workbench.rail_seeds(), goals=options.goals, save=options.save
            )
        if options.command == "deferral":
            return run_deferral(options, workbench)
        if options.command == "takeover":
            from builderbrain.eval.measure_takeover import BUDGETS, measure_takeover

            return measure_takeover(
                workbench,
                options.json,
                seeds=workbench.rail_seeds(),
                budgets=options.budgets or BUDGETS,
                goals=options.goals,
                prompts=options.prompts,
                judge=options.judge,
            )
        if options.command == "syntax":
            return commands.measure_syntax(
                workbench,
                options.subject,
                options.json,
                generations=options.generations,
                temperature=options.temperature,
                seed=options.seed,
            )
        subjects = tuple(dict.fromkeys(options.subject or ["rail"]))
        return commands.measure_bench(workbench, options.command, subjects, options.json, least=options.least)
    except BuilderBrainError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 2


def _measure_scan(options: argparse.Namespace) -> int:
    from builderbrain.eval.measure_composition import check_splits, measure_ablation, measure_composition, parse_subject

    measured = partial(
        measure_ablation if options.command == "ablation" else measure_composition,
        target=options.json,
        model=options.model,
        device=options.device,
        splits=check_splits(options.splits),
        seeds=options.seeds,
        commands=options.commands,
    )
    if options.command == "ablation":
        return measured(parse_subject(options.subject))
    return measured([parse_subject(text) for text in dict.fromkeys(options.subject)])


def _measure_asking(options: argparse.Namespace) -> int:
    from builderbrain.eval.measure_asking import measure_asking

    return measure_asking(
        options.world,
        options.json,
        policy=options.policy,
        seeds=options.seeds,
        sessions=options.sessions,
        sessions_seed=options.sessions_seed,
    )


def _train_baseline(options: argparse.Namespace) -> int:
    from builderbrain.eval.train_baseline import train_baseline
    from builderbrain.train.config import TrainConfig

    config = load_config(TrainConfig, None, options.overrides)
    kind: Literal["lora", "full"] = "lora" if options.command == "train-lora" else "full"
    return train_baseline(
        kind,
        config,
        options.out,
        start=options.start,
        learning_rate=options.learning_rate,
        parameters=getattr(options, "parameters", None),
    )


def _measure_stacking(options: argparse.Namespace) -> int:
    from builderbrain.eval.measure_stacking import measure_stacking
    from builderbrain.train.config import TrainConfig

    config = load_config(TrainConfig, None, options.overrides)
    return measure_stacking(config, options.json, options.folder, seeds=options.seeds)


def _fit_decisions(options: argparse.Namespace) -> int:
    from rich.console import Console

    from builderbrain.eval.decision_questions import fit_decisions, print_fit, read_questions
    from builderbrain.eval.fit_decisions import LEVELS
    from builderbrain.eval.output import make_folder
    from builderbrain.serve.compose import compose
    from builderbrain.serve.deferral import DECISIONS
    from builderbrain.serve.settings import ServeSettings

    for level in options.levels:
        if not 0 < level < 1:
            raise SubjectError(f"expected --levels above 0 and below 1, got {level:g}", field="levels")
    questions = read_questions(options.questions)
    settings = ServeSettings(
        model=options.model,
        quantization=options.quantization,
        device=options.device or "auto",
        rail=options.rail,
        registry=options.registry,
    )
    fitted = fit_decisions(
        compose(settings).state.service,
        questions,
        file=options.questions,
        levels=tuple(dict.fromkeys(options.levels)) or LEVELS,
        seed=options.seed,
        model=options.served,
    )
    fitted.calibration.save(options.save)
    if options.deferral is not None:
        fitted.table(options.domain, min(options.levels or LEVELS)).save(make_folder(options.deferral) / DECISIONS)
    print_fit(fitted.calibration, Console())
    return 0


def _check(options: argparse.Namespace) -> None:
    if getattr(options, "generations", 1) < 1:
        raise SubjectError(f"expected --generations of at least 1, got {options.generations}", field="generations")
    if getattr(options, "sessions", 1) < 1:
        raise SubjectError(f"expected --sessions of at least 1, got {options.sessions}", field="sessions")
    if getattr(options, "commands", 0) < 0:
        raise SubjectError(f"expected --commands of at least 0, got {options.commands}", field="commands")
    rate = getattr(options, "learning_rate", None)
    if rate is not None and not 0 < rate <= 1:
        raise SubjectError(f"expected --learning-rate above 0 and at most 1, got {rate}", field="learning-rate")
    parameters = getattr(options, "parameters", None)
    if parameters is not None and parameters < 1:
        raise SubjectError(f"expected --parameters of at least 1, got {parameters}", field="parameters")
    target = getattr(options, "json", None)
    if target is not None and (target.is_dir() or not target.absolute().parent.is_dir()):
        raise SubjectError(f"expected --json FILE in a folder that exists, got {target}; make the folder first", field="json")
    out = getattr(options, "out", None)
    if out is not None and out.exists():
        raise SubjectError(f"expected --out FOLDER that does not exist yet, got {out}; remove it or name another", field="out")
