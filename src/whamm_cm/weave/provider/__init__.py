"""A component of an application and what a recording answers it, which imports nothing."""
