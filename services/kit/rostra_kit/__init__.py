"""What every Rostra service starts from."""
