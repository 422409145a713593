"""Use cases of escalation: the chain, acknowledgements, links, recalls."""
