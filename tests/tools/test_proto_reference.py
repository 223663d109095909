from pathlib import Path

from server.rpc.server import SERVICES
from tools.proto_reference import compile_protos, reference

PROTO = """
syntax = "proto3";
package shop.v1;

// Sells things.
//
//   - NOT_FOUND if there is none.
service Shop {
  // Buy sells one.
  rpc Buy(stream Order) returns (Order);
}

// Order is
// an order.
message Order {
  // kind is `A|B`.
  //
  // It has a default.
  Kind kind = 1;
  // notes are notes.
  repeated string notes = 2;
  // price is in cents.
  optional int64 price = 4;
  oneof payer {
    // card pays.
    bytes card = 5;
  }
}

// Kind is a kind.
enum Kind {
  // KIND_UNSPECIFIED is not used.
  KIND_UNSPECIFIED = 0;
}
"""

PAGE = r"""## shop.proto

### Shop { #shop.v1.Shop }

Sells things.

  - NOT_FOUND if there is none.

#### Buy { #shop.v1.Shop.Buy }

stream [`Order`](#shop.v1.Order) → [`Order`](#shop.v1.Order)

Buy sells one.

### Order { #shop.v1.Order }

Order is
an order.

| field | number | type | meaning |
|---|---|---|---|
| `kind` | 1 | [`Kind`](#shop.v1.Kind) | kind is `A\|B`.<br><br>It has a default. |
| `notes` | 2 | repeated `string` | notes are notes. |
| `price` | 4 | optional `int64` | price is in cents. |
| `card` | 5 | `bytes`, one of `payer` | card pays. |

### Kind { #shop.v1.Kind }

Kind is a kind.

| value | number | meaning |
|---|---|---|
| `KIND_UNSPECIFIED` | 0 | KIND_UNSPECIFIED is not used. |
"""


def test_a_page_shows_services_messages_and_enums(tmp_path: Path) -> None:
    (tmp_path / "shop.proto").write_text(PROTO, encoding="utf-8")
    assert reference(compile_protos(tmp_path)).endswith(PAGE)


def test_every_method_and_message_of_the_protocol_has_an_anchor() -> None:
    page = reference(compile_protos())
    methods = [method.full_name for service in SERVICES for method in service.methods]
    messages = [name for service in SERVICES for name in service.file.message_types_by_name]
    assert [name for name in methods if f"{{ #{name} }}" not in page] == []
    assert [name for name in messages if f"{{ #chaja.v1.{name} }}" not in page] == []
