"""Generated from protos/sonic by `make protos`; never edited."""
