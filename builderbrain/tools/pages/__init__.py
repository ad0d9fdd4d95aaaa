"""Pages of one site as a person uses them: controls by role and name, in a real browser or over the parsed page."""
