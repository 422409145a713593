"""What all nouns of alerts share: one transaction, the state of the service, texts of people."""
