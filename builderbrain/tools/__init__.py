"""Tools: what skills do. Only `builderbrain.agent.executor` runs them, and only for a checked plan."""
