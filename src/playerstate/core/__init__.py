"""The pure heart: no I/O, no clock, no randomness, no environment. They come in as arguments."""
