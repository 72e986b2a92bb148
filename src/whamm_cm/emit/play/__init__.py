"""Code that plays a recording to a component, and the memory it reads the recording from."""
