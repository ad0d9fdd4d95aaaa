"""Compile every Triton kernel ahead of time, without a GPU: `python scripts/compile_kernels.py [--check | --architecture N]`.

For each variant and architecture the machine code is read: registers, shared memory, bytes that spill to local memory, and
how wide its loads and stores of global memory are. The table is committed (`bbkernels/resources.json`); `--check` compiles
again and fails when a kernel spills, when a wide access became a narrow one, when it does not compile with arguments of 1, or
when the table is out of date. `--architecture` compiles for one alone and leaves the table as it is.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from bbkernels.variant import ARCHITECTURES, Variant

TABLE = Path(__file__).resolve().parent.parent / "bbkernels/resources.json"
SHARED_BYTES = {80: 166_912, 90: 232_448, 100: 232_448}
"""What one block may have (CUDA C++ Programming Guide, technical specifications per compute capability)."""


def variants() -> Iterator[Variant]:
    """Every variant of every operation."""
    from bbkernels.cached_attention import variants as cached_attention
    from bbkernels.cross_attention import variants as cross_attention
    from bbkernels.gated_fusion import variants as gated_fusion
    from bbkernels.governed_loss import variants as governed_loss
    from bbkernels.masked_sample import variants as masked_sample
    from bbkernels.nf4_linear import variants as nf4_linear
    from bbkernels.skill_adapter import variants as skill_adapter

    yield from cached_attention.variants()
    yield from cross_attention.variants()
    yield from gated_fusion.variants()
    yield from governed_loss.variants()
    yield from masked_sample.variants()
    yield from nf4_linear.variants()
    yield from skill_adapter.variants()


def compile_variant(variant: Variant, architecture: int) -> dict[str, Any]:
    """What the machine code of one variant needs."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    types = {name: "constexpr" if name in variant.constants else variant.types[name] for name in variant.kernel.arg_names}
    aligned = {
        (i,): [["tt.divisibility", 16]]
        for i, (name, kind) in enumerate(types.items())
        if kind.startswith("*") or name.endswith("stride")
    }
    source = ASTSource(variant.kernel, types, constexprs=dict(variant.constants), attrs=aligned)
    options = {"num_warps": variant.num_warps, "enable_fp_fusion": variant.fuses_products}
    compiled = triton.compile(source, target=GPUTarget("cuda", architecture, 32), options=options)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(compiled.asm["cubin"])
        file.flush()
        code = _inspect(file.name)
    numbers = {key: int(value) for key, value in re.findall(r"(REG|STACK|SHARED|LOCAL):(\d+)", code)}
    accesses = Counter(_width(found) for found in re.findall(r"\b((?:LDG|STG)[\w.]*)", code))
    return {
        "registers": numbers["REG"],
        "shared_bytes": compiled.metadata.shared,
        "spilled_bytes": numbers["STACK"] + numbers["LOCAL"],
        "global_accesses": {f"{width} bytes": count for width, count in sorted(accesses.items())},
    }


def check_ones(variant: Variant, *, alone: bool = True) -> Iterator[str]:
    """What the language refuses when an integer argument is 1: Triton then makes a plain number of it, which has no `.to`.

    Neither the interpreter nor the compilations above do that; a batch of one row does. All integers are 1 at once, and if
    `alone` each by itself.
    """
    from triton._C.libtriton import ir
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource
    from triton.compiler.compiler import make_backend

    target = GPUTarget("cuda", 90, 32)
    backend = make_backend(target)
    options = backend.parse_options({"num_warps": variant.num_warps})
    integers = [name for name in variant.kernel.arg_names if name not in variant.constants and variant.types[name] == "i32"]
    for ones in [*([name] for name in integers if alone), integers]:
        constants = {**variant.constants, **dict.fromkeys(ones, 1)}
        types = {name: "constexpr" if name in constants else variant.types[name] for name in variant.kernel.arg_names}
        context = ir.context()
        ir.load_dialects(context)
        backend.load_dialects(context)
        try:
            ASTSource(variant.kernel, types, constexprs=constants).make_ir(
                target, options, backend.get_codegen_implementation(options), backend.get_module_map(), context
            )
        except Exception as error:  # noqa: BLE001 - the compiler's, of any kind
            yield f"does not compile with {', '.join(ones)} = 1: {error.__cause__ or error}"


def faults(variant: Variant, resources: Mapping[str, Any], architecture: int) -> list[str]:
    """What must not be: spills, more shared memory than there is, and narrow accesses where wide ones are possible."""
    found = []
    if resources["spilled_bytes"]:
        found.append(f"spills {resources['spilled_bytes']} bytes")
    if resources["shared_bytes"] > SHARED_BYTES[architecture]:
        found.append(f"needs {resources['shared_bytes']} bytes of shared memory, of {SHARED_BYTES[architecture]}")
    narrow = [width for width in resources["global_accesses"] if int(width.split()[0]) < 16]
    if narrow and not variant.narrow:
        found.append(f"reads or writes global memory {' and '.join(narrow)} at a time, where 16 are possible")
    return found


def _width(instruction: str) -> int:
    """Bytes that one thread moves."""
    bits = re.search(r"\.(?:U?S?)(8|16|32|64|128|256)\b", instruction)
    return int(bits.group(1)) // 8 if bits else 4


def _inspect(file: str) -> str:
    """Resource usage and machine code."""
    import triton

    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    return subprocess.run([tool, "--dump-resource-usage", "-sass", file], capture_output=True, text=True, check=True).stdout


def _compile(job: tuple[int, tuple[int, ...], bool | None]) -> tuple[dict[str, Any], list[str]]:
    """Part of the table and complaints for a variant, by its number: variants themselves do not go to another process."""
    index, architectures, ones_alone = job  # None: arguments of 1 were tried with another variant of this form
    variant = next(itertools.islice(variants(), index, None))
    complaints = [] if ones_alone is None else [f"{variant.name} {fault}" for fault in check_ones(variant, alone=ones_alone)]
    table = {}
    for architecture in sorted(set(architectures) & set(variant.architectures)):
        name = f"{variant.name} sm_{architecture}"
        table[name] = compile_variant(variant, architecture)
        complaints += [f"{name}: {fault}" for fault in faults(variant, table[name], architecture)]
    return table, complaints


def main(arguments: list[str] | None = None) -> int:
    """Compile, print or compare; the exit status is 1 when something must not be."""
    parser = argparse.ArgumentParser(prog="python scripts/compile_kernels.py", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the committed table instead of writing it")
    parser.add_argument("--architecture", type=int, choices=ARCHITECTURES, help="only this one, without the table")
    options = parser.parse_args(arguments)
    architectures = ARCHITECTURES if options.architecture is None else (options.architecture,)
    table: dict[str, Any] = {}
    complaints: list[str] = []
    jobs = []
    forms: set[tuple[object, ...]] = set()
    for index, variant in enumerate(variants()):
        branches = [(name, str(value)) for name, value in variant.constants.items() if value is None or isinstance(value, bool)]
        kernel = (variant.kernel.__name__,)
        form = (*kernel, *branches)
        jobs.append((index, architectures, None if form in forms else kernel not in forms))
        forms |= {kernel, form}
    workers = min(4, os.cpu_count() or 1)
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        for part, found in pool.map(_compile, jobs):
            table |= part
            complaints += found
    text = json.dumps(table, indent=1) + "\n"
    if options.architecture is not None:
        pass  # a part of the table says nothing about the whole
    elif not options.check:
        TABLE.write_text(text)
    elif not TABLE.is_file() or TABLE.read_text() != text:
        complaints.append(f"{TABLE.name} is out of date; run python scripts/compile_kernels.py")
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    print(f"{len(table)} compilations")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
