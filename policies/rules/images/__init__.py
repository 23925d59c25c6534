"""Images: which ones run where, and that they stay what they are."""
