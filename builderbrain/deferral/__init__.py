"""When it is better to ask than to act: thresholds on calibrated confidence, what moves them, and what is offered instead.

A domain's threshold is fitted on labelled requests with a guarantee (`risk_control`, `fixed_sequence`), stored with the
version of the weights that it belongs to (`thresholds`), and used at run time by a `DeferralPolicy`, which only ever makes it
stricter: by a test for a shift of what is asked (`shift`), and by outcomes (`adaptive`).
"""

from builderbrain.deferral.policy import Deferral, DeferralPolicy
from builderbrain.deferral.thresholds import DeferralTable, DomainCalibration, FittedThreshold

__all__ = ["Deferral", "DeferralPolicy", "DeferralTable", "DomainCalibration", "FittedThreshold"]
