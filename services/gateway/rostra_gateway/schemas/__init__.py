"""The JSON that clients send and get, a module per resource. What Rostra does not decide on is left untouched."""
