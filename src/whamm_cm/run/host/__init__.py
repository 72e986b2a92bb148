"""A WASI 0.2 host in Python, for components that serve HTTP."""
