"""Every kernel checked, and timed beside its peers and the machine's floor: `python -m benchmarks.accelerator --out DIR`."""
