"""Use cases of hedges: linking, lists and history, what-ifs, modifiers."""
