"""Quota: what a namespace may use, compared with what it may come to ask for."""
