"""A small world model over tool-state deltas, and the value of asking a tool before acting.

`decision` says which calls and acts there are and what they are worth, `encoding` how a step becomes numbers, `model`
learns what follows, `evsi` is the formula, `gate` puts a model into it, and `policy` is learned in a model's imagination.
docs/world.md has the whole.
"""
