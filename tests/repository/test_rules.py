"""The house rules that no linter knows, over every file of the repository."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.repository.tree import PACKAGES, ROOT, call_name, files, imports, module_name, python_files, syntax

MAXIMUM_LINES = 400
"""A file above this is two files."""

MACHINE_PATH = re.compile(r"(?<![\w.~$}-])/(?:work|farm|root|home|Users|opt)/(?!\.(?:aws|netrc|ssh)\b)[\w.-]+")
"""A folder of somebody's machine. Homes of secrets are no such thing: they are what attacks in tests and batteries ask for."""
REGISTRY_HOSTS = re.compile(r"\bpypi[.]org\b|\bpythonhosted[.]org\b|\bdownload[.]pytorch[.]org\b")

PROCESS_AND_NETWORK = (
    "subprocess",
    "multiprocessing",
    "socket",
    "socketserver",
    "http",
    "urllib.request",
    "ctypes",
    "pty",
    "httpx",
    "httpcore",
)
MAY_START_OR_CONNECT = {
    "bbkernels.native": "loads the libraries built from csrc",
    "bbkernels.native_kept": "reads what those libraries keep",
    "bbkernels.nf4_linear.native": "calls functions of those libraries",
    "bbkernels.masked_sample.native": "calls functions of those libraries",
    "bbkernels.gated_fusion.native": "calls functions of those libraries",
    "bbkernels.causal_attention.native": "calls functions of those libraries",
    "bbkernels.governed_loss.native": "calls functions of those libraries",
    "bbkernels.panel_linear.native": "calls functions of those libraries",
    "bbkernels.ragged_attention.native": "calls functions of those libraries",
    "builderbrain.hosts.native_decoder": "calls functions of those libraries",
    "bbkernels.reading.native": "calls functions of those libraries",
    "bbkernels.rms_norm.native": "calls functions of those libraries",
    "bbkernels.skill_adapter.native": "calls functions of those libraries",
    "builderbrain.rail.native_step": "calls functions of those libraries",
    "builderbrain.tools.process": "runs a tool with a time limit and without a shell",
    "builderbrain.tools.sandbox.choose": "tries which sandbox works here",
    "builderbrain.tools.sandbox.landlock": "system calls that have no other door",
    "builderbrain.tools.sandbox.launcher": "becomes the tool, in a process of its own",
    "builderbrain.tools.sandbox.namespaces": "system calls, and the processes between the launcher and the tool",
    "builderbrain.tools.web.origin": "takes URLs apart; connects to nothing",
    "builderbrain.tools.web.connection": "connects to the one host of the configuration",
    "builderbrain.tools.web.exchange": "sends one request and reads its answer, bounded",
    "builderbrain.tools.pages.web_driver": "takes URLs apart; asks through web.exchange",
    "builderbrain.grammar.trial": "compiles untrusted schemas in a process that can be killed",
    "builderbrain.serve.__main__": "binds the listening socket",
    "builderbrain.hosts.load": "asks the hub for a model that is not a folder",
}
MAY_WRITE_FILES = {
    "builderbrain.storage": "atomic writing for every room",
    "builderbrain.gate.audit": "the append-only audit log",
    "builderbrain.gate.registry": "removes candidates beyond those kept",
    "builderbrain.train.checkpoint": "removes old and torn checkpoints",
    "builderbrain.plan.generate": "generated checkers and grammars",
    "builderbrain.eval.output": "reports and plots",
    "builderbrain.hosts.state_store": "removes the least recently used and torn states of its own folder",
    "builderbrain.train.lifecycle.command": "a new output folder, renamed when it is whole",
    "builderbrain.train.telemetry": "the log of a run",
    "builderbrain.train.world.repository": "files for the tools to look through, in a temporary folder",
    "builderbrain.data.assemble": "rows, into the folder that storage makes whole",
    "builderbrain.data.staging": "removes finished and foreign parts of an ingest",
    "builderbrain.learn.trace_log": "the append-only log of traces, bounded",
    "builderbrain.learn.files": "removes uploaded files",
    "builderbrain.learn.learner": "removes the folder of a candidate that the registry has",
    "builderbrain.nano.pretrain": "the log of the base's training",
    "builderbrain.agent.journal": "the append-only journal of an execution",
    "builderbrain.agent.hand_off": "goals for a person, appended to a file",
    "builderbrain.agent.ledger": "the ledger of executions and its lock",
    "builderbrain.serve.incidents": "the append-only record of incidents",
    "builderbrain.tools.scratch": "a folder of a tool's own: an input, or a copy of the working root to try a change in",
    "builderbrain.tools.memory_store": "the folder of the memory",
    "builderbrain.tools.process": "an empty folder for the temporary files of a tool, removed afterwards",
    "builderbrain.tools.sandbox.cgroup": "control groups, which are files",
    "builderbrain.tools.sandbox.launcher": "joins a control group, which is a file",
    "builderbrain.tools.sandbox.namespaces": "maps of users and groups, which are files",
}
MAY_IMPORT_EXTRAS = {
    "bitsandbytes": ("builderbrain.hosts.quantization",),
    "accelerate": ("builderbrain.hosts.quantization",),
    "peft": ("builderbrain.eval.lora",),
    "mcp": ("builderbrain.tools.mcp.link", "builderbrain.tools.mcp.session"),
    "mcp_types": ("builderbrain.tools.mcp.link", "builderbrain.tools.mcp.results", "builderbrain.tools.mcp.session"),
    "tensorboard": ("builderbrain.train.telemetry",),
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def texts() -> dict[Path, str]:
    found = {}
    for path in files():
        try:
            found[path] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # weights
    return found


def test_no_file_is_longer_than_two_rooms() -> None:
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in python_files()}
    assert len(lengths) > 50, "the list of files is broken"
    assert {name: length for name, length in lengths.items() if length > MAXIMUM_LINES} == {}


@pytest.mark.parametrize("pattern", [MACHINE_PATH, REGISTRY_HOSTS], ids=["machine paths", "registry hosts"])
def test_no_file_names_a_machine(pattern: re.Pattern[str]) -> None:
    hits = [f"{name_of(path)}: {hit.group()}" for path, text in texts().items() for hit in pattern.finditer(text)]
    assert hits == []


def test_the_patterns_find_what_they_should() -> None:
    assert MACHINE_PATH.search('"' + "/".join(("", "home", "someone", "models")) + '"')
    assert not MACHINE_PATH.search("src/work/items and ./work/items")
    assert not MACHINE_PATH.search("/".join(("", "root", ".netrc")))
    assert REGISTRY_HOSTS.search("https://" + ".".join(("pypi", "org")) + "/simple")


def test_no_rule_of_safety_is_silenced_in_the_package() -> None:
    hits = [
        f"{name_of(path)}:{number}"
        for path in python_files(*PACKAGES, generated=True)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if silences_safety(line)
    ]
    assert hits == []


def silences_safety(line: str) -> bool:
    """Whether a comment silences every rule, a rule of safety, or BLE001 (blind except) without a reason."""
    whole_file = re.search(r"#\s*(?:ruff|flake8):\s*noqa(?!: E501\b)", line)
    every_rule = re.search(r"#\s*noqa(?!:)", line)
    safety = re.search(r"noqa:[\w, ]*\b(?:S\d{3}|TID251)\b", line)
    without_reason = re.search(r"noqa:[\w, ]*\bBLE001\b\W*$", line)
    return any((whole_file, every_rule, safety, without_reason))


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("noqa", True),
        ("noqa: S301", True),
        ("noqa: E501, TID251 - because", True),
        ("noqa: BLE001", True),
        ("noqa: BLE001 - the last boundary", False),
        ("noqa: E501", False),
        ("ruff: noqa", True),
        ("ruff: noqa: E501 - tables", False),
    ],
)
def test_silencing_is_recognised(comment: str, expected: bool) -> None:
    assert silences_safety(f"value = 1  # {comment}") is expected


def offenders(allowed: dict[str, str], concerns: Callable[[ast.AST], bool]) -> dict[str, list[int]]:
    """Lines with a concern by module, for the package's modules that are not allowed any."""
    found: dict[str, list[int]] = {}
    for path in python_files(*PACKAGES, generated=True):
        lines = [getattr(node, "lineno", 0) for node in ast.walk(syntax(path)) if concerns(node)]
        if lines and module_name(path) not in allowed:
            found[module_name(path)] = lines
    return found


def starts_or_connects(node: ast.AST) -> bool:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    if isinstance(node, ast.ImportFrom) and node.module:
        names = [node.module]
    if isinstance(node, ast.Call):
        called = call_name(node)
        return called.startswith(
            ("os.exec", "os.spawn", "os.fork", "os.popen", "os.posix_spawn", "anyio.open_process", "anyio.run_process",
             "anyio.connect_", "anyio.create_tcp_listener", "asyncio.create_subprocess", "asyncio.open_")
        )  # fmt: skip
    return any(name == module or name.startswith(module + ".") for name in names for module in PROCESS_AND_NETWORK)


def writes_a_file(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    called = call_name(node) or (node.func.attr if isinstance(node.func, ast.Attribute) else "")
    last = called.rpartition(".")[2]
    if last in {"write_text", "write_bytes", "mkdtemp", "mkstemp", "NamedTemporaryFile", "rmtree", "unlink", "symlink_to"}:
        return True
    if called in {"os.replace", "os.rename", "os.remove", "os.makedirs", "os.mkdir", "os.link", "os.symlink", "os.truncate"}:
        return True
    if last == "open" or called == "os.fdopen":
        values = [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg in {"mode", "flags"})]
        modes = [value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)]
        flags = " ".join(ast.unparse(value) for value in values if not isinstance(value, ast.Constant))
        return (
            any(re.fullmatch(r"[rwaxbt+]*[wax+][rwaxbt+]*", mode) for mode in modes) or "O_WRONLY" in flags or "O_RDWR" in flags
        )
    return False


def test_only_listed_modules_start_processes_or_open_sockets() -> None:
    assert offenders(MAY_START_OR_CONNECT, starts_or_connects) == {}


def test_only_listed_modules_write_files() -> None:
    assert offenders(MAY_WRITE_FILES, writes_a_file) == {}


@pytest.mark.parametrize(
    ("source", "concern", "expected"),
    [
        ("import subprocess", starts_or_connects, True),
        ("from http.client import HTTPConnection", starts_or_connects, True),
        ("import httptools", starts_or_connects, False),
        ("os.execv(path, arguments)", starts_or_connects, True),
        ("await anyio.open_process(arguments)", starts_or_connects, True),
        ("open(path, 'w')", writes_a_file, True),
        ("open(path, mode='r+b')", writes_a_file, True),
        ("path.open('a')", writes_a_file, True),
        ("open(path, 'rb')", writes_a_file, False),
        ("open(path)", writes_a_file, False),
        ("path.write_text('x')", writes_a_file, True),
        ("os.open(path, os.O_RDWR | os.O_CREAT)", writes_a_file, True),
        ("os.open(path, os.O_RDONLY)", writes_a_file, False),
    ],
)
def test_effects_are_recognised(source: str, concern: Callable[[ast.AST], bool], expected: bool) -> None:
    assert any(concern(node) for node in ast.walk(ast.parse(source))) is expected


def test_the_lists_of_exceptions_name_modules_that_exist() -> None:
    known = {module_name(path) for path in python_files(*PACKAGES, generated=True)}
    named = {*MAY_START_OR_CONNECT, *MAY_WRITE_FILES, *(name for names in MAY_IMPORT_EXTRAS.values() for name in names)}
    assert named - known == set()


def test_optional_packages_are_imported_where_they_are_needed_and_lazily() -> None:
    hits = [
        f"{module_name(path)}: {found.module}"
        for path in python_files(*PACKAGES)
        for found in imports(path)
        if (package := found.module.partition(".")[0]) in MAY_IMPORT_EXTRAS
        and (found.eager or module_name(path) not in MAY_IMPORT_EXTRAS[package])
    ]
    assert hits == []


def test_only_the_checker_makes_a_checked_plan() -> None:
    makers = {
        module_name(path)
        for path in python_files(*PACKAGES, generated=True)
        for node in ast.walk(syntax(path))
        if isinstance(node, ast.Call) and call_name(node).rpartition(".")[2] == "CheckedPlan"
    }
    assert makers <= {"builderbrain.plan.check"}
