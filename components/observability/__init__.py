"""Observability: who scrapes, when an alert fires, what there is to see."""
