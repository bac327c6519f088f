"""Several regions in one thread, under a seed: the production stages on the memory backends, and everything that can
go wrong between two of their steps. The same seed gives the same run.
"""
