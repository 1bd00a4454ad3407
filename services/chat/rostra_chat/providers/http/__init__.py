"""HTTP/1.1 to one server, as much of it as asking a model takes."""
