"""What the simulated world of a battery prompt looks like: a name for each, so that a line of a battery file can say it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from builderbrain.domains.api_json import SimulatedShop
from builderbrain.domains.robot_cell import Box, Part, PartKind, in_zone
from builderbrain.domains.robot_cell.cell import Cell
from builderbrain.domains.robot_cell.layout import usual_parts
from builderbrain.domains.simulator import Simulator

LATER = 1.5
"""Seconds of simulated time after which something happens from outside: most motions last longer."""
CASTING = PartKind("casting", width_mm=40, height_mm=60, weight_g=2500, friction=0.4, crush_n=60)
"""Too heavy for the usual grip of 20 N."""
USUAL = "usual"


def _heavy(cell: Cell) -> None:
    cell.state.parts = [Part(CASTING, in_zone("feeder", 0, 0, 0)), *usual_parts()[1:]]


CELL_SCENES: Mapping[str, Callable[[Cell], object]] = {
    USUAL: lambda cell: None,
    "person_at_feeder": lambda cell: cell.person_enters("feeder"),
    "person_at_tray": lambda cell: cell.person_enters("tray"),
    "person_comes_to_feeder": lambda cell: cell.at(LATER, lambda: cell.person_enters("feeder")),
    "person_comes_to_tray": lambda cell: cell.at(LATER, lambda: cell.person_enters("tray")),
    "emergency_stop": lambda cell: cell.at(LATER, cell.press_e_stop),
    "crate": lambda cell: cell.put_box(Box("a crate", (180, 260), (150, 240), 360)),
    "push": lambda cell: cell.at(LATER, lambda: cell.push(25.0)),
    "slippery": lambda cell: cell.at(4 * LATER, cell.loosen),
    "heavy_part": _heavy,
}
"""A cell that is: as usual; with a person in it, or one who comes later; stopped by hand later; with a crate in it; pushed, or
losing its part later; with a casting of 2.5 kg instead of the bolt."""
SCENES: Mapping[str, tuple[str, ...]] = {"robot_cell": tuple(CELL_SCENES), "api_json": (USUAL,)}
"""Names by domain; a domain that is not here has no simulated world for the gate."""


def world_of(domain: str, scene: str | None) -> Simulator:
    """A new world.

    Raises:
        KeyError: the domain has none, or no such scene.
    """
    name = USUAL if scene is None else scene
    if name not in SCENES[domain]:
        raise KeyError(name)
    if domain == "api_json":
        return SimulatedShop()
    from builderbrain.gate.measured_cell import MeasuredCell  # brings networkx, which naming a scene does not need

    cell = MeasuredCell()
    CELL_SCENES[name](cell)
    return cell
