"""A life-like load for the starter schema, what must come of it, and the measurements that are made with it."""
