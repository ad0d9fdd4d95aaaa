"""A simulated call: a caller with a script, and a desk. `PhoneCall` does the skills of the domain `phone_flow`."""

from builderbrain.domains.phone_flow.call import PhoneCall, Said
from builderbrain.domains.phone_flow.script import CallScript, load_script, read_script, scripts

__all__ = ["CallScript", "PhoneCall", "Said", "load_script", "read_script", "scripts"]
