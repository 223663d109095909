// Searches with grpc-js, which spreads the calls over servers. Usage: node balanced.mjs TARGET; prints a JSON object.
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const PROTOS = process.env.CHAJA_PROTOS;
const { chaja } = grpc.loadPackageDefinition(loader.loadSync("chaja/v1/search.proto", { includeDirs: [PROTOS] }));
const search = new chaja.v1.SearchService(process.argv[2], grpc.credentials.createInsecure(), {
  "grpc.service_config": readFileSync(`${PROTOS}/chaja/service_config.json`, "utf8"),
});
const call = promisify(search.Search.bind(search));
let found = 0;
for (let number = 0; number < 60; number += 1) {
  const metadata = new grpc.Metadata({ waitForReady: true });
  const { hits } = await call({ query: `${number} 카드`, limit: 1 }, metadata, { deadline: Date.now() + 20_000 });
  found += hits.length;
}
search.close();
console.log(JSON.stringify({ found }));
