"""One worker process: it sends its share of the plan and reports every request to the coordinator."""
