"""Requests to whoever answers in a conversation with their plans, for training a rail on the domain `chat_social`."""

from builderbrain.train.chat_social.goals import CHAT_SOCIAL

__all__ = ["CHAT_SOCIAL"]
