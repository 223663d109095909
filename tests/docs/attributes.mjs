// Prints what a server receives of each form of `attributes`. Usage: node attributes.mjs PROTOS
import loader from "@grpc/proto-loader";

const FORMS = [
  { category: "card" },
  { fields: { category: { string_value: "card" } } },
  { fields: { category: { stringValue: "card" } } },
];

function received(attributes, options) {
  const found = loader.loadSync("chaja/v1/catalog.proto", { includeDirs: [process.argv[2]], oneofs: true, ...options });
  const { requestSerialize, requestDeserialize } = found["chaja.v1.CatalogService"].UpsertDocuments;
  return requestDeserialize(requestSerialize({ upserts: [{ document: { attributes } }] })).upserts[0].document.attributes;
}

console.log(JSON.stringify([{}, { keepCase: true }].map((options) => FORMS.map((form) => received(form, options)))));
