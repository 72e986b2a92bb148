"""What editors ask about scripts: mistakes, completions, explanations, places."""
