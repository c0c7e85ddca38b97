"""One script per schema, in order; each is one transaction."""
