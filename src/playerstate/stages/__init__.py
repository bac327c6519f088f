"""The way through: each stage takes ports, decides with pure functions, and repeats harmlessly."""
