"""Every port in memory, for tests and simulation: exact, deterministic, and gone with the process."""
