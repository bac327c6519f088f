"""What drives the stages: loops over sources, and the socket by which other processes reach a node."""
