"""The server's log, and the lines about calls that it can hold: access, slow queries, audit.

Code logs with `logging.getLogger(__name__)` as usual. A bounded queue and one thread write the lines, so that a slow or
blocked standard error delays no call. The table in docs/logs.md lists every log and its fields.
"""
