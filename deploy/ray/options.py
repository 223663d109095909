"""The arguments of the applications: those of the file of `serve deploy`, or those of `python -m deploy.ray`."""

from hashlib import blake2b

from pydantic import BaseModel, ConfigDict, Field

from server.catalogue.location import DatabaseUrl
from server.command_line import parse_settings
from server.encoding.manifest import read_manifest
from server.errors import SettingsError
from server.settings import Settings

INDEX = "index"
"""The name of the application with the index, unless an ingress has another one."""


class IndexOptions(BaseModel):
    """The arguments of an index. Another bundle, number of shards or database is another application.

    Attributes:
        bundle: Directory of the bundle, at the same place on all machines.
        data: URL of the database.
        shards: Number of shards.
        replicas: Replicas of each shard.
        encoders: Replicas that encode texts.
        shard_cpus: CPUs of each replica of a shard.
        encoder_cpus: CPUs of each encoder.
        flags: Further flags of the server, such as `--title-weight 0.9`.
    """

    model_config = ConfigDict(extra="forbid")

    bundle: str
    data: str
    shards: int = Field(default=1, ge=1)
    replicas: int = Field(default=1, ge=1)
    encoders: int = Field(default=1, ge=1)
    shard_cpus: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    encoder_cpus: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    flags: str = ""

    @property
    def version(self) -> str:
        """Differs between indexes whose replicas must not answer each other's calls; raises BundleError."""
        settings = self.settings
        revision = read_manifest(settings.bundle, cutting=settings.cutting).revision
        other = blake2b(f"{self.data} {self.flags}".encode(), digest_size=4).hexdigest()
        return f"{revision} in {self.shards} shards, {other}"

    @property
    def settings(self) -> Settings:
        """The settings of the server; raises SettingsError."""
        settings = parse_settings(["--bundle", self.bundle, "--data", self.data, *self.flags.split()])
        if not isinstance(settings.data, DatabaseUrl):
            raise SettingsError(f"data is {self.data!r}; shards follow a database: set it to postgresql://…")
        return settings


class IngressOptions(BaseModel):
    """The arguments of the ingresses.

    Attributes:
        index: Name of the application with the index.
        ingresses: Replicas that answer calls.
        ingress_cpus: CPUs of each ingress.
        shard_seconds: Time for which a call waits for a shard.
        hedge_seconds: Time after which a second replica of a shard is asked; 0 takes the 95th percentile of answers.
        call_seconds: Longest time of a call. Ray Serve does not pass on the deadlines of clients, but their ends.
    """

    model_config = ConfigDict(extra="forbid")

    index: str = INDEX
    ingresses: int = Field(default=1, ge=1)
    ingress_cpus: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    shard_seconds: float = Field(default=2.0, gt=0, allow_inf_nan=False)
    hedge_seconds: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    call_seconds: float = Field(default=30.0, gt=0, allow_inf_nan=False)


class Options(IndexOptions, IngressOptions):
    """The arguments of both applications on one machine."""

    @property
    def cpus(self) -> float:
        """The CPUs of all replicas."""
        shards = self.shards * self.replicas * self.shard_cpus
        return shards + self.encoders * self.encoder_cpus + self.ingresses * self.ingress_cpus

    @property
    def of_index(self) -> IndexOptions:
        """The arguments of the index."""
        return IndexOptions(**self.model_dump(include=set(IndexOptions.model_fields)))

    @property
    def of_ingress(self) -> IngressOptions:
        """The arguments of the ingresses."""
        return IngressOptions(**self.model_dump(include=set(IngressOptions.model_fields)))
