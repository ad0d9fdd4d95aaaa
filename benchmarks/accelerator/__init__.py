"""Every kernel checked, and timed beside its peers and the floor of the machine: `python -m benchmarks.accelerator --out DIR`."""
