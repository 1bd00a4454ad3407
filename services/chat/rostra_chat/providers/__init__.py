"""Who runs the models."""
