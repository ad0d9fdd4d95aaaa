"""Requests to a repository assistant with all its tools, and their plans: for training on `repo_assistant`, version 2."""

from builderbrain.train.repo_tools.goals import REPO_TOOLS

__all__ = ["REPO_TOOLS"]
