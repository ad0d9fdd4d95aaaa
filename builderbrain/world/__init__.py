"""A small world model over tool-state deltas, and the value of asking a tool before acting.

`decision` says which calls and acts there are and what they are worth, `encoding` how a step becomes numbers, `model`
learns what follows, `evsi` is the formula, and `gate` puts a model into it. docs/world.md has the whole.
"""
