"""The networks, each at paper size by default and narrow by argument; none knows of Lightning."""
