"""Recording and alerting rules; one module for each part of the platform."""
