"""Tasks: what every door (command line, page, service) asks for, done on files."""
