"""Kernels of BuilderBrain as Python functions.

One folder per operation: `reference.py` is the specification in plain PyTorch, the CPU path and the test oracle in one;
`op.py` checks its arguments and is the only thing callers import. This package imports nothing of `builderbrain`.

Letters: B batch, T queries, S keys, M memory tokens, H heads, D head size, d base width, c builder width, V vocabulary,
K skills, N rows.
"""
