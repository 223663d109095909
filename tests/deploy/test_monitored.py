from tests.deploy.monitored import INSTANCE, Monitored


def test_prometheus_sees_every_kind_of_call_of_the_load(monitored: Monitored) -> None:
    rates = monitored.prometheus.wait_for("sum by (grpc_method) (rate(grpc_server_handled_total[1m])) > 0")
    methods = {each.labels["grpc_method"] for each in rates}
    assert methods >= {"Search", "BatchSearch", "SearchStream", "Encode", "UpsertDocuments", "ListDocuments"}
    (errors,) = monitored.prometheus.wait_for(
        'rate(grpc_server_handled_total{grpc_method="Search",grpc_code="InvalidArgument"}[1m]) > 0'
    )
    assert (errors.labels["job"], errors.labels["instance"]) == ("chaja", INSTANCE)
    monitored.prometheus.wait_for('rate(chaja_refused_total{reason="unknown_method"}[1m]) > 0')
