"""The applications of Ray Serve: an index, which has shards and encoders, and the ingresses, which answer gRPC.

They are two, so that another index can load while the ingresses use the first one. README.md beside this file says how
to run and update them.
"""

from ray import serve

from deploy.ray.deployments import EncoderDeployment, ShardDeployment
from deploy.ray.ingress import NAME, IngressDeployment
from deploy.ray.options import IndexOptions, IngressOptions
from server.rpc.server import SERVICES

SERVICERS = [
    *(f"chaja.v1.add_{service.name}Servicer_to_server" for service in SERVICES),
    "grpc_health.v1.health_pb2_grpc.add_HealthServicer_to_server",
]
"""The functions that register the services with Ray Serve's gRPC proxy: `grpc_servicer_functions` of its options."""

END_SECONDS = 10.0
"""Time for which an ending replica may still work on calls."""


def index(options: IndexOptions) -> serve.Application:
    """Returns the application with an index. Its `route_prefix` is null: clients do not call it."""
    _ = options.version  # Wrong flags are an error here, not in each replica.
    # Each replica is a deployment, so that an ingress chooses which one it asks, and a hedged call goes to another.
    shards = [
        [
            _deployment(ShardDeployment, f"shard-{number}-{replica}", cpus=options.shard_cpus, calls=64).bind(
                options, number
            )
            for replica in range(options.replicas)
        ]
        for number in range(options.shards)
    ]
    return _deployment(
        EncoderDeployment, "encoder", replicas=options.encoders, cpus=options.encoder_cpus, calls=64
    ).bind(options, shards)


def ingress(options: IngressOptions) -> serve.Application:
    """Returns the application that answers calls."""
    deployment = _deployment(
        IngressDeployment,
        NAME,
        replicas=options.ingresses,
        cpus=options.ingress_cpus,
        calls=256,
        end_seconds=max(options.call_seconds, END_SECONDS),
    )
    return deployment.bind(options)


def _deployment(
    kind: type, name: str, *, replicas: int = 1, cpus: float, calls: int, end_seconds: float = END_SECONDS
) -> serve.Deployment:
    return serve.deployment(
        name=name,
        num_replicas=replicas,
        max_ongoing_requests=calls,
        ray_actor_options={"num_cpus": cpus},
        health_check_period_s=2,
        health_check_timeout_s=10,
        graceful_shutdown_wait_loop_s=0.5,
        graceful_shutdown_timeout_s=end_seconds,
        max_surge_percent=100,  # Old replicas serve until new ones have loaded.
    )(kind)
