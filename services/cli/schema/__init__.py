"""Commands made from the schema: a verb names its RPC, options and columns are fields of it."""
