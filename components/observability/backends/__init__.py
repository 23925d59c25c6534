"""What keeps what was observed, where the platform runs it itself."""
