"""The pages for people: the status page at `/`, and the search page at `/search`."""
