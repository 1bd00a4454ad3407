"""Calls of one service by another that travel together, on one long-lived gRPC stream for each pair of processes."""
