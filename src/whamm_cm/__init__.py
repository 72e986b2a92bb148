"""whamm-cm: weave probes into WebAssembly components and trace what they do.

Importing this package costs nothing: work starts in its rooms (``whamm_cm.weave``,
``whamm_cm.run``, ...; see ``docs/dev-intro.md``).
"""

from whamm_cm._version import __version__

__all__ = ["__version__"]
