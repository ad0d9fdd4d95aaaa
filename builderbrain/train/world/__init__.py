"""Sessions in which asking has a value, told as traces, and the training of a world model on them (stage 2)."""
