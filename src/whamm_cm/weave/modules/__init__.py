"""Changing core modules: editing one, linking several into one."""
