"""What a stage may ask of the world, with the guarantees that every backend gives. One file a port.

Every method may raise `Unavailable` (nothing was done, the same call may be made again); a method that changes
something may raise `OutcomeUnknown` where that cannot be told. Every sink stands being told the same thing again.
"""
