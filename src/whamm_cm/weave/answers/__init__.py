"""Imports that are answered by a component beside the one that imports them."""
