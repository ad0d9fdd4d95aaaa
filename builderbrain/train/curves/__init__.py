"""The page of curves of a run's log: `python -m builderbrain.train plot FOLDER`."""

from builderbrain.train.curves.page import curves_page

__all__ = ["curves_page"]
