"""Scripts that keep the project true to itself; users need none of them."""
