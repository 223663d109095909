from server.catalogue.document import content_of
from server.catalogue.encoded_contents import encoded_contents
from server.catalogue.store import Store
from tests.server.catalogue.stores import REVISION, document, execute, put


def contents(store: Store, *ids: str, revision: str = REVISION) -> dict[str, bytes]:
    with store.reading() as connection:
        return encoded_contents(connection, ids, revision)


def test_only_documents_with_vectors_of_the_model_are_found(store: Store) -> None:
    put(store, "a", "b")
    put(store, "b", title="new")
    put(store, "c", revision="two")
    with store.write() as transaction:
        transaction.delete("a")
    assert contents(store, "a", "b", "c", "d") == {"b": content_of(document("b", "new"))}
    assert contents(store, "c", revision="two") == {"c": content_of(document("c"))}
    assert contents(store, "b", revision="three") == contents(store) == {}


def test_a_damaged_document_is_not_found(store: Store) -> None:
    put(store, "a")
    execute(store, "UPDATE documents SET checksum = checksum + 1")
    assert contents(store, "a") == {}
