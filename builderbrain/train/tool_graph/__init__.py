"""Plans over a graph of tools, for training: requests with their chains, and chains made up from the graph."""
