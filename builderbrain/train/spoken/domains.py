"""The domains whose goals are put together of clauses, by name."""

from __future__ import annotations

from builderbrain.train.domain import TrainingDomain
from builderbrain.train.phone_flow import PHONE_FLOW
from builderbrain.train.robot_cell import ROBOT_CELL

SPOKEN_DOMAINS: dict[str, TrainingDomain] = {domain.name: domain for domain in (ROBOT_CELL, PHONE_FLOW)}
