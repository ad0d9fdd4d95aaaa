"""Requests to a shop of books behind an API with their plans, for training a rail on the domain `api_json`."""

from builderbrain.train.api_json.goals import API_JSON

__all__ = ["API_JSON"]
