"""Pods: what their processes may do to the node and to each other."""
