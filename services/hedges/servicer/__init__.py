"""Messages of hedges in and out."""
