"""The pure domain: what a workflow means. No Django, no clock, no randomness, no I/O."""
