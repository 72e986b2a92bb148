"""Script bodies as WebAssembly: inline snippets, and the script unit that holds the rest."""
