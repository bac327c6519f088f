"""Elite Dangerous journals for playerstate: what a real game's events say about a player's state.

`journal` reads lines, `changes` has the words in which `mapping` says what each event means, `plain` is the
oracle that the stages are compared with, `format` ties them to `playerstate replay`.
"""
