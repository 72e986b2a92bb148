"""The page: one HTML file that shows whatever there is, a run, a component, a verdict."""
