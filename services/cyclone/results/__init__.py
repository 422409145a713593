"""How a cycle ended, told once to those who were named when it was asked for."""
