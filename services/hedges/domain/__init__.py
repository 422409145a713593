"""Rules of hedges, pure, on columns: grouping, figures at prices, rebalance, ladder, history,
modifiers.
"""
