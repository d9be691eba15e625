"""Pages for a browser: the report of runs as one file that needs no network. Free of torch."""
