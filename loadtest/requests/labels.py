"""Relevance labels: the documents that answer each query."""

import json
from pathlib import Path

from loadtest.errors import UsageError
from loadtest.requests.queries import ID_FIELDS
from loadtest.requests.rows import lines_of, text_of

Labels = dict[str, dict[str, int]]


def read_labels(path: Path) -> Labels:
    """Returns the labels of a file by query id and document id.

    Formats: BEIR's TSV (query id, document id, label, after a header), or the JSONL of the queries themselves,
    whose `relevant` lists document ids.

    Raises:
        UsageError: The file cannot be read, or a line is malformed; the message names the line.
    """
    labels: Labels = {}
    query_number = 0
    for number, line in lines_of(text_of(path)):
        where = f"{path}:{number}"
        if line.startswith("{"):
            identifier, relevant = _from_json(line, default=str(query_number), where=where)
            labels[identifier] = relevant
            query_number += 1
            continue
        cells = line.split("\t")
        if number == 1 and len(cells) == 3 and not cells[2].strip().lstrip("-").isdigit():
            continue  # The header.
        try:
            query, document, label = cells
            labels.setdefault(query, {})[document] = int(label)
        except ValueError:
            raise UsageError(f"{where}: expected a query id, a document id and a label, separated by tabs") from None
    if not labels:
        raise UsageError(f"{path} has no labels")
    return labels


def _from_json(line: str, *, default: str, where: str) -> tuple[str, dict[str, int]]:
    try:
        fields = json.loads(line)
        relevant = {str(document): 1 for document in fields["relevant"]}
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"{where}: expected an object with `relevant`, a list of document ids") from None
    return next((str(fields[name]) for name in ID_FIELDS if name in fields), default), relevant
