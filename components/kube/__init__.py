"""Generic words of Kubernetes that every subsystem shares; nothing here knows ML."""
