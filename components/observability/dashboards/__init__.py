"""Grafana's dashboards; one module for each."""
