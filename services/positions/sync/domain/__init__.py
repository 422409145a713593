"""What an answer does to the rows of a wallet, pure and over columns."""
