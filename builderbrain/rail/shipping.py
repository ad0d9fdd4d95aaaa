"""A rail as it is shipped: its weights in 16 bits, half as many bytes. Loading widens them again, so that it runs as any other.

    python -m builderbrain.rail.shipping runs/robot/rail robot_cell

writes `builderbrain/bundled/domain_rails/robot_cell`, where the server and the tests find it by the name of the domain. What is
shipped is another version than what was trained: `python -m builderbrain.eval domain-bench --rail FOLDER` measures both.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from builderbrain.errors import BuilderBrainError, CheckpointError, ConfigError
from builderbrain.plan import get_domain
from builderbrain.rail.bundled import BUNDLED_DOMAIN_RAILS
from builderbrain.rail.checkpoint import WEIGHT_DTYPES, load_rail, rail_version, save_rail
from builderbrain.rail.fitting import other_domain

DEFAULT = "float16"
"""Its mantissa is three bits longer than that of bfloat16, and weights need no wider range."""


def ship(source: Path, target: Path, *, domain: str, dtype: torch.dtype) -> tuple[str, float]:
    """Write a rail in 16 bits. Returns its version, and the largest change of a weight relative to the largest of its tensor.

    Raises:
        CheckpointError: there is no whole rail in `source`, or a weight does not fit 16 bits.
        ConfigError: the rail makes plans of another domain.
        SchemaError: there is no such domain.
        FileExistsError: `target` exists.
    """
    rail = load_rail(source)
    fault = other_domain(rail.config, get_domain(domain))
    if fault is not None:
        raise ConfigError(f"{source}: {fault}; name the domain that it was trained for", field="domain")
    worst = 0.0
    for name, tensor in rail.state_dict().items():
        if not tensor.is_floating_point():
            continue
        rounded = tensor.to(dtype).to(tensor.dtype)
        if not bool(torch.isfinite(rounded).all()):
            raise CheckpointError(f"{source}: a weight of {name} does not fit {dtype}; ship it in bfloat16", field=name)
        worst = max(worst, float((rounded - tensor).abs().max() / tensor.abs().max().clamp_min(1e-30)))
    save_rail(rail, target, dtype=dtype, information={"domain": domain, "of": rail_version(rail)})
    return rail_version(load_rail(target)), worst


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m builderbrain.rail.shipping", description="Bundle a domain's rail.")
    parser.add_argument("rail", type=Path, help="folder of a trained rail")
    parser.add_argument("domain", help="domain that it makes plans of")
    parser.add_argument("--dtype", choices=sorted(WEIGHT_DTYPES), default=DEFAULT, help=f"of the weights (default: {DEFAULT})")
    parser.add_argument("--output", type=Path, help="folder to write; by default that of the domain among the bundled rails")
    options = parser.parse_args(arguments)
    target = options.output or BUNDLED_DOMAIN_RAILS / options.domain
    try:
        version, worst = ship(options.rail, target, domain=options.domain, dtype=WEIGHT_DTYPES[options.dtype])
    except FileExistsError:
        print(f"error: {target} exists; remove it first", file=sys.stderr)
        return 2
    except BuilderBrainError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 2
    size = sum(path.stat().st_size for path in target.iterdir())
    print(f"{target}: version {version}, {size / 1e6:.2f} MB, weights moved by at most {worst:.1e} of their tensor's largest")
    return 0


if __name__ == "__main__":
    sys.exit(main())
