"""Script bodies as WebAssembly: inline snippets, and the script unit that holds the rest."""

# What compiles each class of node; ``body`` knows none of them.
from whamm_cm.emit.script import expressions as expressions
from whamm_cm.emit.script import statements as statements
