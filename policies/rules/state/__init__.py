"""State: data outlives what uses it, and what reads a configuration has the one that is declared."""
