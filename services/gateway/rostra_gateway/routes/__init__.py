"""The gateway's HTTP routes, a module per resource."""
