"""The index in shards, on Ray Serve. `app` has the deployments; the other modules do not import Ray."""
