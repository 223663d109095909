// Calls a Chaja server with grpc-js. Usage: node client.mjs ADDRESS DESCRIPTOR_SET; prints one JSON object.
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const [address, descriptorSet] = process.argv.slice(2);
const options = { keepCase: true, enums: String, longs: Number, defaults: true };
const packages = grpc.loadPackageDefinition(loader.loadFileDescriptorSetFromBuffer(readFileSync(descriptorSet), options));
const credentials = grpc.credentials.createInsecure();
const compressing = { "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip };

function client(Service, channelOptions = {}) {
  return new Service(address, credentials, channelOptions);
}

function unary(stub, method, request, deadline = Date.now() + 10_000) {
  return promisify(stub[method].bind(stub))(request, new grpc.Metadata(), { deadline });
}

function stream(call, requests) {
  return new Promise((resolve, reject) => {
    const answers = [];
    call.on("data", (answer) => answers.push(answer)).on("error", reject).on("end", () => resolve(answers));
    requests.forEach((request) => call.write(request));
    call.end();
  });
}

async function refusal(promise) {
  try {
    await promise;
    return null;
  } catch (error) {
    return { code: error.code, details: error.details, status_details: error.metadata.get("grpc-status-details-bin").length };
  }
}

const search = client(packages.chaja.v1.SearchService);
const health = client(packages.grpc.health.v1.Health);
const reflection = client(packages.grpc.reflection.v1alpha.ServerReflection);
const request = { query: "카드를 잃어버렸어요", limit: 3 };

const watch = health.Watch({ service: "" });
const watched = await new Promise((resolve, reject) => watch.on("data", resolve).on("error", reject));
watch.on("error", () => {}).cancel();

console.log(JSON.stringify({
  search: await unary(search, "Search", request),
  compressed: await unary(client(packages.chaja.v1.SearchService, compressing), "Search", request),
  stream: await stream(search.SearchStream(), [request, { query: " " }, request]),
  invalid: await refusal(unary(search, "Search", { query: "" })),
  late: await refusal(unary(search, "Search", request, Date.now() - 1)),
  health: await unary(health, "Check", { service: "chaja.v1.SearchService" }),
  watched,
  unknown_service: await refusal(unary(health, "Check", { service: "nothing" })),
  reflection: await stream(reflection.ServerReflectionInfo(), [{ list_services: "" }]),
}));
