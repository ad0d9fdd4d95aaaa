"""Goals in words, put together of clauses that each add steps to a plan: what the generators of task domains share."""

from builderbrain.train.spoken.clause import Clause
from builderbrain.train.spoken.draft import Draft
from builderbrain.train.spoken.goal import spoken_goal
from builderbrain.train.spoken.scene import Scene
from builderbrain.train.spoken.templates import Templates
from builderbrain.train.spoken.training import training_domain

__all__ = ["Clause", "Draft", "Scene", "Templates", "spoken_goal", "training_domain"]
