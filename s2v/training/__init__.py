"""What `s2v fit|validate|test|predict` does around Lightning, from the config's first check to the closing test."""
