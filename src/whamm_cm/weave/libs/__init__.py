"""How a user library becomes part of what is woven: ``module`` and ``component``, by its kind."""
