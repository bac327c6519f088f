"""Trials of the real thing: regions in processes of their own, faults under traffic, and a reckoning afterwards."""
