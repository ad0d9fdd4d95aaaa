"""HTTP for tools: one host from the configuration, bounded in time, size and redirects."""
