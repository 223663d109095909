"""The quality of a run's answers: shows whether throughput was gained at the cost of wrong results."""

import math
from dataclasses import dataclass, field

import numpy as np

from loadtest.results.file import Records

NAMED_QUERIES = 10


@dataclass
class Quality:
    """The quality of a run's answers.

    Attributes:
        at: The k of recall@k and nDCG@k.
        labelled: Answers to labelled queries.
        compared: Answers that were compared with the reference answer.
        different: Compared answers that differed.
        different_queries: Numbers of the first queries with different answers.
    """

    at: int = 10
    labelled: int = 0
    recall_sum: float = 0.0
    ndcg_sum: float = 0.0
    compared: int = 0
    different: int = 0
    different_queries: list[int] = field(default_factory=list)

    @property
    def recall(self) -> float:
        """Mean recall@k of the labelled answers; NaN without any."""
        return self.recall_sum / self.labelled if self.labelled else math.nan

    @property
    def ndcg(self) -> float:
        """Mean nDCG@k of the labelled answers; NaN without any."""
        return self.ndcg_sum / self.labelled if self.labelled else math.nan

    def add(self, records: Records) -> None:
        """Counts records of the measured part."""
        labelled = records[~np.isnan(records["recall"])]
        self.labelled += len(labelled)
        self.recall_sum += float(labelled["recall"].sum(dtype=np.float64))
        self.ndcg_sum += float(labelled["ndcg"].sum(dtype=np.float64))
        self.compared += int(np.count_nonzero(records["same"] >= 0))
        different = records[records["same"] == 0]
        self.different += len(different)
        for query in different["query"].tolist():
            if len(self.different_queries) < NAMED_QUERIES and query not in self.different_queries:
                self.different_queries.append(query)
