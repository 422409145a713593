"""Rules of decisions: allowances of wallets, reasons, the decision and its line of text."""
