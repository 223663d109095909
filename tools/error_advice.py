"""Advice to callers for each error of a call, for `docs/errors.md`."""

from __future__ import annotations

from server import errors

ADVICE: dict[type[errors.ChajaError], str] = {
    errors.InvalidRequest: "Correct the fields that `google.rpc.BadRequest` names. Do not repeat the call as it is.",
    errors.UnknownMethod: "Check the method's name and the server's version (`InfoService.GetServerInfo`). Shards lack "
    "some methods.",
    errors.NotAuthenticated: "Send a valid token in `authorization: Bearer …`.",
    errors.NotAllowed: "Use a token with the role that the metadata field `needed_role` names.",
    errors.NotReady: "Try another server, or the same one again with backoff.",
    errors.Overloaded: "Wait for `google.rpc.RetryInfo.retry_delay`, or allow a longer deadline.",
    errors.ConnectionOverloaded: "Read the answers that are due, or open another connection.",
    errors.ResponseTooLarge: "Do not repeat the call as it is. Ask for fewer hits, for fewer queries or texts in a "
    "call, or for fewer fields (`read_mask`).",
    errors.HeadersTooLarge: "Send less metadata.",
    errors.DeadlinePassed: "Allow a longer deadline, or show no result.",
    errors.EncodingFailed: "Report the incident's id to the operator, who finds it in the server's log.",
    errors.ReloadFailed: "Read the message, correct the bundle or the catalogue, and reload again.",
    errors.LearningRefused: "Wait for more feedback, and learn again.",
    errors.LearningFailed: "Correct what the message names, and learn again.",
    errors.NotFound: "Treat the document as absent.",
    errors.Conflict: "Read it again, apply the change to it, and write it with the version just read.",
    errors.ImportTakenOver: "Stop. Another client continues this import.",
    errors.OutOfRange: "Discard the copy and watch again from 0, or search without `min_sequence`.",
    errors.ShardUnavailable: "Repeat the call, or set `allow_partial`. Look at the logs of the shard's replicas.",
    errors.SequenceNotSeen: "Repeat the call, at any server.",
    errors.ReadOnly: "Start the server with `--data`, or change the catalogue file.",
    errors.StoreUnavailable: "Repeat the call with the same `request_id`: the change may have been made. If it lasts, "
    "see the log: PostgreSQL is away, or read-only.",
    errors.ChangesLost: "Repeat the call later. The operator brings the changes back, or "
    "[accepts the loss](store.md#postgresql).",
    errors.StoreFull: "Free disk space, then repeat the write.",
}
"""By error; `make docs` fails if one of `server.rpc.errors.ROW_OF` is missing."""
