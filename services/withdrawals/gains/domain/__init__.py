"""Rules of gains: flows, supply samples, references, two gains that must agree."""
