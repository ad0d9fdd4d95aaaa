"""A simulated robot cell: an arm with a gripper between five zones. `RobotCell` does the skills of the domain `robot_cell`."""

from builderbrain.domains.robot_cell.layout import BOLT, HOUSING, VIAL, Box, Part, PartKind, in_zone
from builderbrain.domains.robot_cell.skills import RobotCell

__all__ = ["BOLT", "HOUSING", "VIAL", "Box", "Part", "PartKind", "RobotCell", "in_zone"]
