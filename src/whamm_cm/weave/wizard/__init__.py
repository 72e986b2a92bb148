"""Scripts as monitor modules of the Wizard engine."""
