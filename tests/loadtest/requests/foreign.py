"""Services of other people, as .proto files."""

from pathlib import Path

COMMON = """\
syntax = "proto3";
package shop.common;
message Item { string name = 1; Colour colour = 2; }
enum Colour { NONE = 0; RED = 1; }
"""

SHOP = """\
syntax = "proto3";
package shop.v1;
import "common/item.proto";
import "google/protobuf/duration.proto";

service Finder {
  rpc Find(FindRequest) returns (FindResponse);
  rpc FindMany(stream FindRequest) returns (stream FindResponse);
  rpc FindTree(Node) returns (FindResponse);
  rpc FindMapped(Mapped) returns (FindResponse);
}
service Keeper { rpc Find(Nothing) returns (Nothing); }

message FindRequest {
  string text = 1;
  int32 limit = 2;
  repeated string tags = 3;
  shop.common.Item item = 4;
  google.protobuf.Duration patience = 5;
}
message Node { repeated Node nodes = 1; int32 depth = 2; }
message Mapped { map<string, FindRequest> requests = 1; int32 query = 2; }
message FindResponse { repeated Hit hits = 1; Timings timings = 2; }
message Hit { string name = 1; }
message Timings { double tokenize = 1; double queue = 2; double encode = 3; double search = 4; double fetch = 5;
                  int32 batch_texts = 6; }
message Nothing {}
"""

NAMESAKES = """\
syntax = "proto3";
package a;
message Nothing {}
service S { rpc M(Nothing) returns (Nothing); }
"""
NAMESAKES_TOO = """\
syntax = "proto3";
package b.a;
import "namesakes.proto";
service S { rpc M(.a.Nothing) returns (.a.Nothing); }
"""

REQUIRED = """\
syntax = "proto2";
message Wanted { optional string query = 1; required int32 amount = 2; }
service S { rpc M(Wanted) returns (Wanted); }
"""


def write_protos(folder: Path) -> Path:
    """Writes them all; returns the folder."""
    for name, text in {
        "protos/common/item.proto": COMMON,
        "protos/shop.proto": SHOP,
        "protos/namesakes.proto": NAMESAKES,
        "protos/namesakes_too.proto": NAMESAKES_TOO,
        "protos/required.proto": REQUIRED,
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder / "protos"
