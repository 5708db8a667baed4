"""Who may do what, how often, and from which pages. Routes declare it; `gate` applies the rest."""
