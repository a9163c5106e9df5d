"""Measurements: each part on its own, and Weft side by side with Synapse (`python -m benchmarks`)."""
