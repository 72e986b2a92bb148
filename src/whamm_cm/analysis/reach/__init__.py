"""Which imports a component can reach from its exports, and how: a call graph of all instances.

    component ──elaborate──▶ instances, linked ──walk──▶ what is reached ──analysis──▶ answers

It is an over-approximation: what can be called is found, what is found may never be called.
"""
