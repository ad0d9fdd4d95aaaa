"""Requests to a robot cell with their plans, for training a rail on the domain `robot_cell`."""

from builderbrain.train.robot_cell.goals import ROBOT_CELL

__all__ = ["ROBOT_CELL"]
