// Writes a document with attributes and searches for it. Usage: java Search [ADDRESS]
import chaja.v1.CatalogServiceGrpc;
import chaja.v1.Document;
import chaja.v1.LocalizedText;
import chaja.v1.Mode;
import chaja.v1.SearchRequest;
import chaja.v1.SearchServiceGrpc;
import chaja.v1.Upsert;
import chaja.v1.UpsertDocumentsRequest;
import com.google.gson.Gson;
import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.TimeUnit;

public final class Search {
  public static void main(String[] arguments) throws Exception {
    String address = arguments.length > 0 ? arguments[0] : "dns:///localhost:50051";
    String json = Files.readString(Path.of("service_config.json")); // protos/chaja/service_config.json
    @SuppressWarnings("unchecked")
    Map<String, Object> config = new Gson().fromJson(json, Map.class);
    ManagedChannel channel =
        ManagedChannelBuilder.forTarget(address).usePlaintext().defaultServiceConfig(config).enableRetry().build();
    try {
      write(channel);
      search(channel);
    } finally {
      channel.shutdown().awaitTermination(5, TimeUnit.SECONDS);
    }
  }

  private static void write(ManagedChannel channel) {
    Struct attributes =
        Struct.newBuilder()
            .putFields("category", Value.newBuilder().setStringValue("card").build())
            .putFields("minimum_age", Value.newBuilder().setNumberValue(14).build())
            .build();
    Document document =
        Document.newBuilder()
            .setId("example-java")
            .addTitles(LocalizedText.newBuilder().setLanguageCode("ko").setText("카드 분실 신고"))
            .addExamples("지갑을 두고 내렸어")
            .setAttributes(attributes)
            .build();
    CatalogServiceGrpc.newBlockingStub(channel)
        .withDeadlineAfter(10, TimeUnit.SECONDS)
        .upsertDocuments(
            UpsertDocumentsRequest.newBuilder().addUpserts(Upsert.newBuilder().setDocument(document)).build())
        .getResultsList()
        .stream()
        .filter(result -> result.hasError())
        .forEach(result -> System.err.println(result.getId() + ": " + result.getError().getMessage()));
  }

  private static void search(ManagedChannel channel) {
    SearchRequest request =
        SearchRequest.newBuilder()
            .setQuery("카드를 잃어버렸어요")
            .setLanguageCode("ko")
            .setMode(Mode.MODE_HYBRID)
            .setLimit(3)
            .build();
    SearchServiceGrpc.newBlockingStub(channel)
        .withDeadlineAfter(1, TimeUnit.SECONDS)
        .search(request)
        .getHitsList()
        .forEach(hit -> System.out.println(hit.getDocumentId() + " " + hit.getTitle() + " " + hit.getAttributes()));
  }
}
