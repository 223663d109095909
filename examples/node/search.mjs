// Writes a document with attributes and searches for it. Usage: node search.mjs [ADDRESS [TOKEN]]
// The server needs --data, because the example writes.
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

// The folder `protos` of this repository.
const PROTOS = process.env.CHAJA_PROTOS ?? fileURLToPath(new URL("../../protos", import.meta.url));
if (!existsSync(`${PROTOS}/chaja`)) throw new Error(`${PROTOS} has no folder chaja: set CHAJA_PROTOS to the protos`);
const [address = "localhost:50051", token] = process.argv.slice(2);

const files = ["chaja/v1/search.proto", "chaja/v1/catalog.proto"];
const options = { includeDirs: [PROTOS], enums: String, longs: Number, oneofs: true, defaults: true };
const { chaja } = grpc.loadPackageDefinition(loader.loadSync(files, options));
const channel = [address, grpc.credentials.createInsecure(), {
  "grpc.service_config": readFileSync(`${PROTOS}/chaja/service_config.json`, "utf8"),
  "grpc.keepalive_time_ms": 60_000,
  "grpc.max_receive_message_length": 64 * 1024 * 1024,
}];
const search = new chaja.v1.SearchService(...channel);
const catalog = new chaja.v1.CatalogService(...channel);

/** Calls a unary method with a deadline, and with the token if there is one. It waits while no server is ready. */
function call(client, method, request, { timeoutMs = 10_000 } = {}) {
  const metadata = new grpc.Metadata({ waitForReady: true }); // grpc-js ignores it in the service config.
  if (token) metadata.set("authorization", `Bearer ${token}`);
  return promisify(client[method].bind(client))(request, metadata, { deadline: Date.now() + timeoutMs });
}

/** Returns a plain object as a google.protobuf.Struct: the only form of `attributes` that protobufjs does not drop. */
function toStruct(object) {
  return { fields: Object.fromEntries(Object.entries(object).map(([name, value]) => [name, toValue(value)])) };
}

function toValue(value) {
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "number") return { numberValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  if (Array.isArray(value)) return { listValue: { values: value.map(toValue) } };
  throw new TypeError(`an attribute is a string, a number, a boolean or a list of them, not ${value}`);
}

/** Returns the attributes of a hit or a document as a plain object. */
function fromStruct(struct) {
  return Object.fromEntries(Object.entries(struct?.fields ?? {}).map(([name, value]) => [name, fromValue(value)]));
}

function fromValue(value) {
  return value.kind === "listValue" ? value.listValue.values.map(fromValue) : value[value.kind];
}

try {
  const document = {
    id: "example-node",
    titles: [{ languageCode: "ko", text: "카드 분실 신고" }],
    examples: ["지갑을 두고 내렸어"],
    attributes: toStruct({ category: "card", minimum_age: 14 }),
  };
  const { results } = await call(catalog, "UpsertDocuments", { upserts: [{ document }] });
  for (const { id, error } of results) if (error) console.error(`${id}: ${error.message}`);

  const filter = { equals: { attribute: "category", value: { stringValue: "card" } } };
  const request = { query: "카드를 잃어버렸어요", languageCode: "ko", mode: "MODE_HYBRID", limit: 3, filter };
  const { hits, noGoodAnswer } = await call(search, "Search", request);
  const found = hits.map((hit) => ({ id: hit.documentId, title: hit.title, attributes: fromStruct(hit.attributes) }));
  console.log(JSON.stringify({ found, noGoodAnswer }));
} catch (error) {
  const [retryMs] = error.metadata?.get("grpc-retry-pushback-ms") ?? [];
  console.error(`${grpc.status[error.code] ?? "error"}: ${error.details ?? error.message}`);
  if (retryMs) console.error(`retry in ${retryMs} ms`);
  process.exitCode = 1;
} finally {
  search.close();
  catalog.close();
}
