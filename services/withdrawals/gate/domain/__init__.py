"""Rules of the residual gate: baselines, bands, the verdict on the last point."""
