"""Rules of hedges, on columns: groups, figures at prices, rebalance, ladder, history, modifiers."""
