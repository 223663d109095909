"""Scripts for maintainers; users need none of them."""
