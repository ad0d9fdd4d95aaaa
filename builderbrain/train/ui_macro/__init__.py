"""Requests to the pages of a site with their plans, for training a rail on the domain `ui_macro`."""

from builderbrain.train.ui_macro.goals import UI_MACRO

__all__ = ["UI_MACRO"]
