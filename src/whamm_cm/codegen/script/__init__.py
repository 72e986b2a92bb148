"""Script bodies as WebAssembly: inline snippets, and the script unit that holds the rest."""

# What compiles each class of node; ``body`` knows none of them.
from whamm_cm.codegen.script import expressions as expressions
from whamm_cm.codegen.script import statements as statements
