"""Compile every Triton kernel ahead of time, without a GPU: `python scripts/compile_kernels.py [--check | --architecture N]`.

For each variant and architecture the machine code is read: registers, shared memory, bytes that spill to local memory, and
how wide its loads and stores of global memory are. The table is committed (`bbkernels/resources.json`); `--check` compiles
again and fails when a kernel spills, when a wide access became a narrow one, when it does not compile with arguments of 1, or
when the table is out of date. `--architecture` compiles for one alone and leaves the table as it is.
"""

from __future__ import annotations

import argparse
import bisect
import itertools
import json
import multiprocessing
import os
import re
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
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
    from bbkernels.page_write import variants as page_write
    from bbkernels.ragged_attention import variants as ragged_attention
    from bbkernels.skill_adapter import variants as skill_adapter

    yield from cached_attention.variants()
    yield from cross_attention.variants()
    yield from gated_fusion.variants()
    yield from governed_loss.variants()
    yield from masked_sample.variants()
    yield from nf4_linear.variants()
    yield from page_write.variants()
    yield from ragged_attention.variants()
    yield from skill_adapter.variants()


def compile_variant(variant: Variant, architecture: int) -> dict[str, Any]:
    """What the machine code of one variant needs."""
    resources, code = _compiled(variant, architecture)
    return resources | {"global_accesses": _accesses([code], architecture)[0]}


def _compiled(variant: Variant, architecture: int) -> tuple[dict[str, Any], bytes]:
    """Registers, shared memory and spills of one variant, and its instructions."""
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
        usage = _inspect("cuobjdump", "--dump-resource-usage", file.name)
    numbers = {key: int(value) for key, value in re.findall(r"(REG|STACK|SHARED|LOCAL):(\d+)", usage)}
    resources = {
        "registers": numbers["REG"],
        "shared_bytes": compiled.metadata.shared,
        "spilled_bytes": numbers["STACK"] + numbers["LOCAL"],
    }
    return resources, _instructions(compiled.asm["cubin"])


def _instructions(cubin: bytes) -> bytes:
    """The one section of an ELF file (64 bits, little-endian) whose name begins with `.text`."""
    (table,) = struct.unpack_from("<Q", cubin, 0x28)
    size, count, names = struct.unpack_from("<HHH", cubin, 0x3A)
    sections = [struct.unpack_from("<IIQQQQ", cubin, table + i * size) for i in range(count)]
    starts = sections[names][4]
    (code,) = [
        cubin[offset : offset + length]
        for name, _, _, _, offset, length in sections
        if cubin.startswith(b".text", starts + name)
    ]
    return code


def _accesses(codes: Sequence[bytes], architecture: int) -> list[dict[str, int]]:
    """How many loads and stores of global memory move how much, for each of several kernels.

    All in one file: to start the disassembler takes longer than to compile most kernels.
    """
    with tempfile.NamedTemporaryFile(suffix=".bin") as file:
        file.write(b"".join(codes))
        file.flush()
        text = _inspect("nvdisasm", "--binary", f"SM{architecture}", file.name)
    ends = list(itertools.accumulate(map(len, codes)))
    counts: list[Counter[int]] = [Counter() for _ in codes]
    for address, instruction in re.findall(r"/\*([0-9a-f]{4,})\*/.*?\b((?:LDG|STG)[\w.]*)", text):
        counts[bisect.bisect_right(ends, int(address, 16))][_width(instruction)] += 1
    return [{f"{width} bytes": count for width, count in sorted(found.items())} for found in counts]


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


def _inspect(program: str, *arguments: str) -> str:
    """What one of the programs says that come with Triton."""
    import triton

    tool = Path(triton.__file__).parent / "backends/nvidia/bin" / program
    return subprocess.run([tool, *arguments], capture_output=True, text=True, check=True).stdout


@dataclass(frozen=True, kw_only=True)
class _Made:
    """One compilation, its accesses not yet looked at."""

    number: int
    architecture: int
    resources: dict[str, Any]
    code: bytes


def _compile(job: tuple[int, tuple[int, ...], bool | None]) -> tuple[list[_Made], list[str]]:
    """Compilations of a variant and complaints, by its number: variants themselves do not go to another process."""
    number, architectures, ones_alone = job  # None: arguments of 1 were tried with another variant of this form
    variant = next(itertools.islice(variants(), number, None))
    complaints = [] if ones_alone is None else [f"{variant.name} {fault}" for fault in check_ones(variant, alone=ones_alone)]
    made = []
    for architecture in sorted(set(architectures) & set(variant.architectures)):
        resources, code = _compiled(variant, architecture)
        made.append(_Made(number=number, architecture=architecture, resources=resources, code=code))
    return made, complaints


def _tabled(made: Sequence[_Made], architectures: Sequence[int]) -> tuple[dict[str, Any], list[str]]:
    """The table, and what must not be in it."""
    every = list(variants())
    widths: dict[tuple[int, int], dict[str, int]] = {}
    for architecture in architectures:
        part = [one for one in made if one.architecture == architecture]
        for one, found in zip(part, _accesses([one.code for one in part], architecture), strict=True):
            widths[one.number, architecture] = found
    table, complaints = {}, []
    for one in made:
        name = f"{every[one.number].name} sm_{one.architecture}"
        table[name] = one.resources | {"global_accesses": widths[one.number, one.architecture]}
        complaints += [f"{name}: {fault}" for fault in faults(every[one.number], table[name], one.architecture)]
    return table, complaints


def main(arguments: list[str] | None = None) -> int:
    """Compile, print or compare; the exit status is 1 when something must not be."""
    parser = argparse.ArgumentParser(prog="python scripts/compile_kernels.py", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the committed table instead of writing it")
    parser.add_argument("--architecture", type=int, choices=ARCHITECTURES, help="only this one, without the table")
    options = parser.parse_args(arguments)
    architectures = ARCHITECTURES if options.architecture is None else (options.architecture,)
    made: list[_Made] = []
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
            made += part
            complaints += found
    table, found = _tabled(made, architectures)
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
