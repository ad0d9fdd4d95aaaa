"""Requests to whoever answers a phone, with their plans, for training a rail on the domain `phone_flow`."""

from builderbrain.train.phone_flow.goals import PHONE_FLOW

__all__ = ["PHONE_FLOW"]
