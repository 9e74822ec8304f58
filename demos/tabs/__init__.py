"""The tabs of the page, one module each with a function ``build``."""
