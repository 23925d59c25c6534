"""The product: one subsystem per package, composed by `platform.py` alone."""
