"""What the system costs on AWS, worked out line by line from unit prices, and the plain design beside it.

Pure: `prices.toml` is the only thing that is read.
"""
