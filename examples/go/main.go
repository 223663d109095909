// Writes a document with attributes and searches for it. Usage: go run . [ADDRESS]
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // lets healthCheckConfig skip servers that are not ready
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	chajav1 "chaja-example/gen/chaja/v1"
)

func main() {
	address := "dns:///localhost:50051"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	config, err := os.ReadFile("service_config.json") // protos/chaja/service_config.json
	if err != nil {
		log.Fatal(err)
	}
	connection, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(string(config)))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	if err := write(chajav1.NewCatalogServiceClient(connection)); err != nil {
		log.Fatal(err)
	}
	if err := search(chajav1.NewSearchServiceClient(connection)); err != nil {
		for _, detail := range status.Convert(err).Details() {
			if retry, ok := detail.(*errdetails.RetryInfo); ok {
				log.Printf("retry in %s", retry.GetRetryDelay().AsDuration())
			}
		}
		log.Fatal(err)
	}
}

func write(client chajav1.CatalogServiceClient) error {
	attributes, err := structpb.NewStruct(map[string]any{"category": "card", "minimum_age": 14})
	if err != nil {
		return err
	}
	document := &chajav1.Document{
		Id:         "example-go",
		Titles:     []*chajav1.LocalizedText{{LanguageCode: "ko", Text: "카드 분실 신고"}},
		Examples:   []string{"지갑을 두고 내렸어"},
		Attributes: attributes,
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	response, err := client.UpsertDocuments(ctx, &chajav1.UpsertDocumentsRequest{
		Upserts: []*chajav1.Upsert{{Document: document}},
	})
	for _, result := range response.GetResults() {
		if result.GetError() != nil {
			log.Printf("%s: %s", result.GetId(), result.GetError().GetMessage())
		}
	}
	return err
}

func search(client chajav1.SearchServiceClient) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	response, err := client.Search(ctx, &chajav1.SearchRequest{
		Query:        "카드를 잃어버렸어요",
		LanguageCode: "ko",
		Mode:         chajav1.Mode_MODE_HYBRID,
		Limit:        3,
	})
	if err != nil {
		return err
	}
	for _, hit := range response.GetHits() {
		fmt.Println(hit.GetDocumentId(), hit.GetTitle(), hit.GetAttributes().AsMap())
	}
	return nil
}
