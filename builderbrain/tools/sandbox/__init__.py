"""Confines the processes of tools: files, network, processes, memory. See `choose` for how, `confinement` for what."""
