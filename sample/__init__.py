"""A sample catalogue: the services of a fictional finance app, and queries with their answers.

`catalogue.jsonl`, `queries.jsonl` and `synonyms.txt` were written by hand for this project. `demo` searches them.
"""
