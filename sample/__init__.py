"""A catalogue to try the server with: the services of a made-up finance app, and queries with their answers.

`catalogue.jsonl` and `queries.jsonl` were written by hand for this project. `demo`
shows the whole path on them.
"""
