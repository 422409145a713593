"""The price of an asset by several sources, side by side."""
