"""Code that answers in a host's place, of its own memory."""
