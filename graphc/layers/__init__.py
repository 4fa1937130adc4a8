"""Package of graphc."""
