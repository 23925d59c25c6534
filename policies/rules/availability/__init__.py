"""Availability: what serves goes on serving when a pod, a node or a release is changed."""
