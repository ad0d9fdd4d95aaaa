"""A reference for the suite `evsi`: the same gate by exact Bayes, told what a world model has to find out.

It knows how sessions are drawn (moods, cues, kinds) and how often each tool gives each answer under each kind, counted on
sessions of their own. So it says what myopic EVSI is worth here when nothing is left to learn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from builderbrain.train.world.sessions import Telling, open_session
from builderbrain.train.world.situations import KIND_CHANCES, MOODS
from builderbrain.world.decision import ACTS, DECISION_DOMAINS, KINDS, DecisionDomain
from builderbrain.world.encoding import ACTIONS, FIELDS, LISTEN, RESULT_FIELDS, Observation, Step
from builderbrain.world.evsi import Information, sample_information
from builderbrain.world.gate import Verdict

_NAMES = tuple(FIELDS)
_RESULTS = math.prod(len(FIELDS[name]) for name in RESULT_FIELDS)
_PRIOR_COUNT = 0.02
"""Added to every count, so that no answer is impossible."""
AnswerTables = Mapping[tuple[str, str], Tensor]
"""P(answer | kind) by domain and tool, float64 [kinds, answers]."""


def count_answers(*, sessions: int, seed: int) -> AnswerTables:
    """Look everything up with every tool in so many sessions of each domain."""
    tables: dict[tuple[str, str], Tensor] = {}
    for domain in DECISION_DOMAINS:
        counts = {tool: torch.full((len(KINDS), _RESULTS), _PRIOR_COUNT, dtype=torch.float64) for tool in domain.costs}
        for number in range(sessions):
            with open_session(domain, number, seed) as requests:
                for request in requests:
                    telling = Telling(domain)
                    telling.listen(request)
                    for tool, table in counts.items():
                        telling.look_up(request, tool)
                        table[KINDS.index(request.kind), answer_number(telling.steps[-1][1])] += 1
        tables |= {(domain.name, tool): table / table.sum(-1, keepdim=True) for tool, table in counts.items()}
    return tables


def answer_number(observation: Observation) -> int:
    """Number of what a result said among all combinations of `RESULT_FIELDS`."""
    number = 0
    for name in RESULT_FIELDS:
        number = number * len(FIELDS[name]) + observation[_NAMES.index(name)]
    return number


class InformedGate:
    """Exact beliefs over mood and kind; answers the same questions as `builderbrain.eval.evsi.Recall`."""

    def __init__(self, tables: AnswerTables) -> None:
        self.tables = tables

    def act(self, domain: DecisionDomain, history: Sequence[Step]) -> Verdict:
        """The best act now."""
        values = self.kinds(domain, history) @ utilities(domain)
        named = dict(zip(ACTS, values.tolist(), strict=True))
        return Verdict(tool=None, act=ACTS[int(values.argmax())], utilities=named, worth={})

    def worth(self, domain: DecisionDomain, history: Sequence[Step], tool: str) -> Information:
        """What a tool is worth before its cost."""
        return sample_information(self.kinds(domain, history), self.tables[domain.name, tool], utilities(domain))

    def kinds(self, domain: DecisionDomain, history: Sequence[Step]) -> Tensor:
        """P(kind of the current request | history), float64 [kinds]."""
        mood = torch.full((len(MOODS),), 1.0 / len(MOODS), dtype=torch.float64)
        joint = mood.unsqueeze(1).expand(-1, len(KINDS)) / len(KINDS)  # [moods, kinds]
        for action, observation in history:
            seen = {name: FIELDS[name][value] for name, value in zip(_NAMES, observation, strict=True)}
            name = ACTIONS[action]
            if name == LISTEN:
                cue = seen["asked"].rpartition("/")[2]
                chances = torch.tensor([KIND_CHANCES[mood_name][cue] for mood_name in MOODS], dtype=torch.float64)
                joint = joint.sum(1, keepdim=True) * chances
            elif name in ACTS:
                accepted = torch.tensor([(domain.utility(kind, name) > 0) == (seen["outcome"] == "good") for kind in KINDS])
                joint = joint * accepted
            else:
                joint = joint * self.tables[domain.name, name.partition(".")[2]][:, answer_number(observation)]
            joint = joint / joint.sum()
        return joint.sum(0)


def utilities(domain: DecisionDomain) -> Tensor:
    """The declared utilities, float64 [kinds, acts]."""
    return torch.tensor([domain.utilities[kind] for kind in KINDS], dtype=torch.float64)
