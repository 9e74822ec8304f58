"""Systems that the composer is compared with."""
