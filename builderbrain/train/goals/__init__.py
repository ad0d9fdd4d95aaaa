"""Goals in words with their plans, generated for training a rail on the domain `repo_assistant`."""

from builderbrain.train.goals.generate import Goal, generate_goals
from builderbrain.train.goals.labels import ACTIONS, INTENTS, TOKEN_SLOTS

__all__ = ["ACTIONS", "INTENTS", "TOKEN_SLOTS", "Goal", "generate_goals"]
