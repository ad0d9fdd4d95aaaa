"""The conformance corpus of the grammar layer, and what is derived from it: which library to use for which constraint.

Cases are generated from the rules of JSON Schema draft 2020-12, keyword by keyword, and cross instances of every type with
them. `python -m builderbrain.eval.grammar_conformance` measures and writes the engine table.
"""
