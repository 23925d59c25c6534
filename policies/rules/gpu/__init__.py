"""GPU: images, drivers and boards that have to fit together."""
