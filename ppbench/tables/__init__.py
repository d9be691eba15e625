"""Tables as data, and the one way each output format writes them. Free of torch."""
