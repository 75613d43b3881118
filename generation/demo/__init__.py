"""The demonstration: the main job on real input, end to end, and the verdicts on copies of its output."""
