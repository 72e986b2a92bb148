"""The front door: what ``import whamm_cm`` offers, and what the command line is made of."""
