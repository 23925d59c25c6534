"""Access: credentials, permissions, and what can be reached from outside."""
