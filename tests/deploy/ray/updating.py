"""Updates a running application as `serve deploy` does with the files of README.md, one after the other.

    python -m tests.deploy.ray.updating ADDRESS OPTIONS

`OPTIONS` are the arguments of both applications, as JSON. The index must have another name than the running one.
"""

import logging
import sys

import ray
from ray import serve

from deploy.ray.app import index, ingress
from deploy.ray.ingress import NAME
from deploy.ray.options import Options


def main() -> None:
    """Starts the new index, whose ingresses wait for it, and ends the old one."""
    address, given = sys.argv[1:]
    options = Options.model_validate_json(given)
    ray.init(address=address, logging_level=logging.WARNING, log_to_driver=False)
    old = [name for name in serve.status().applications if name != NAME]
    serve.run_many(
        [
            serve.RunTarget(index(options.of_index), name=options.index, route_prefix=None),
            serve.RunTarget(ingress(options.of_ingress), name=NAME),
        ]
    )
    for name in old:
        serve.delete(name)


if __name__ == "__main__":
    main()
