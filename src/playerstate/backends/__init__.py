"""The ports on real technology, one package each. Chosen by the wiring, never by a stage."""
