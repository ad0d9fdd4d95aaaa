"""A request to a repository assistant while it is made."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from builderbrain.plan import get_domain
from builderbrain.train.goals.decorations import said_file, said_folder
from builderbrain.train.repo_tools import values
from builderbrain.train.repo_tools.paths import Place
from builderbrain.train.repo_tools.phrases import PHRASES
from builderbrain.train.spoken import Scene

DOMAIN, VERSION = "repo_assistant", 2
SPAN_SLOTS = ("pattern", "path", "query", "text", "claim", "id", "output", "rail")
SKILLS = get_domain(DOMAIN, VERSION).skills
MINUTES = {name: cost for name, skill in SKILLS.items() if isinstance(cost := skill.costs.get("minutes"), int)}
"""What a step costs, by skill; training costs its own argument."""
LIMIT = get_domain(DOMAIN, VERSION).budgets["minutes"]
"""Minutes of a plan."""


class RepoScene(Scene):
    """A request to the assistant; it knows how much time its plan may still take, and whether a fix can be taken back."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(DOMAIN, tables=PHRASES, slots=SPAN_SLOTS, subjects=values.SUBJECTS, rng=rng, version=VERSION)
        self.minutes, self.fix, self.condition = LIMIT, "", ""

    def step(self, skill: str, **arguments: Any) -> str:
        """Add a step, on the condition that its clause has."""
        self.minutes -= arguments.get("minutes", 10) if skill == "train" else MINUTES.get(skill, 0)
        return self.draft.step(skill, condition=self.condition or None, **arguments)

    def last(self, *skills: str) -> str:
        """Id of the last step of one of these skills, empty without one."""
        return next((step.id for step in reversed(self.draft.steps) if step.skill in skills), "")

    def previous(self) -> str:
        """Skill of the last step, empty before the first."""
        return self.draft.steps[-1].skill if self.draft.steps else ""

    def number(self, slot: str, wordings: Sequence[str], number: int) -> int:
        """Say a number with one of the wordings, behind what was said in the slot."""
        self.words[slot] = self.words.get(slot, "") + self.rng.choice(wordings).replace("{k}", str(number))
        return number

    def name(self, slot: str, name: str) -> str:
        """The name of something in the repository as it is said, now and then in quotes."""
        said = self.value(slot, name)
        quote = self.rng.choice(("", "", '"', "'"))
        return f"{quote}{said}{quote}"

    def path(self, made: Place, *, place: bool | None = None) -> str:
        """Say a path as what is meant or as the place of it, by default either."""
        path, folder = made
        said = (said_folder if folder else said_file)(self.value("path", path), self.rng)
        if place or (place is None and self.rng.random() < 0.4):
            self.words["where"] = f" {self.rng.choice(values.PLACES)} {said}"
        else:
            self.words["path"] = said
        return path

    def where(self, made: Place, share: float = 0.5) -> dict[str, str]:
        """The place of something, said or not."""
        self.words["where"] = ""
        return {"path": self.path(made, place=True)} if self.rng.random() < share else {}
