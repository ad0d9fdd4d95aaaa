"""Training while serving: traces of live traffic, a candidate that learns from them in the gaps of decoding, and its way
through the gate. Live weights are never touched. Attached to a server by `--learn` (docs/learning.md)."""
