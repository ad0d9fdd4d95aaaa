"""A dense product on a CPU whose rows have bits of their own, whatever their number."""

from bbkernels.panel_linear.native import PanelLinear

__all__ = ["PanelLinear"]
