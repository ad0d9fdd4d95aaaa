"""The domains whose goals are put together of clauses, by the name that `data` gives them."""

from __future__ import annotations

from builderbrain.train.api_json import API_JSON
from builderbrain.train.chat_social import CHAT_SOCIAL
from builderbrain.train.domain import TrainingDomain
from builderbrain.train.phone_flow import PHONE_FLOW
from builderbrain.train.repo_tools import REPO_TOOLS
from builderbrain.train.robot_cell import ROBOT_CELL
from builderbrain.train.spoken.joint import joint_domain
from builderbrain.train.ui_macro import UI_MACRO

SPOKEN_DOMAINS: dict[str, TrainingDomain] = {
    domain.name: domain for domain in (ROBOT_CELL, PHONE_FLOW, UI_MACRO, CHAT_SOCIAL, API_JSON)
}
"""Those of the joint domain."""
JOINT = "spoken"
ALONE: dict[str, TrainingDomain] = {"repo_assistant_2": REPO_TOOLS}
"""Versions that are not in use yet, under names of their own."""


def spoken_domain(name: str) -> TrainingDomain | None:
    """One of them, or all of the joint domain as one by the name `spoken`; None for any other name."""
    if name == JOINT:
        return joint_domain(tuple(SPOKEN_DOMAINS.values()), JOINT)
    return (SPOKEN_DOMAINS | ALONE).get(name)
