"""``python -m whamm_cm``: the command line without an installed script."""

from whamm_cm.cli.main import entry

if __name__ == "__main__":
    entry()
