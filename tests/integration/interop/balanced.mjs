// Searches with grpc-js, which spreads the calls over servers. Usage: node balanced.mjs TARGET SERVERS
// Once it has reached that number of servers, it prints the number of calls of each one, of 30, as a JSON object.
import { readFileSync } from "node:fs";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const PROTOS = process.env.CHAJA_PROTOS;
const [target, servers] = process.argv.slice(2);
const { chaja } = grpc.loadPackageDefinition(loader.loadSync("chaja/v1/search.proto", { includeDirs: [PROTOS] }));
const client = new chaja.v1.SearchService(target, grpc.credentials.createInsecure(), {
  "grpc.service_config": readFileSync(`${PROTOS}/chaja/service_config.json`, "utf8"),
});

/** Searches, and returns the address of the server that has answered. */
function search(query) {
  const metadata = new grpc.Metadata({ waitForReady: true });
  return new Promise((resolve, reject) => {
    const ended = (error) => (error ? reject(error) : resolve(call.getPeer()));
    const call = client.Search({ query, limit: 1 }, metadata, { deadline: Date.now() + 20_000 }, ended);
  });
}

const reached = new Set();
while (reached.size < Number(servers)) reached.add(await search("카드"));
const calls = {};
for (let number = 0; number < 30; number += 1) {
  const peer = await search("카드");
  calls[peer] = (calls[peer] ?? 0) + 1;
}
client.close();
console.log(JSON.stringify(calls));
