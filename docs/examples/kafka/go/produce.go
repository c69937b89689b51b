// Sends one piece of content with franz-go.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"

	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	event, err := json.Marshal(map[string]any{
		"source":     "forum",
		"content_id": "post-1",
		"revision":   1,
		"text":       "Hello, is this still for sale?",
		"created_at": "2026-01-01T12:00:00Z",
	})
	if err != nil {
		log.Fatal(err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(setting("KAFKA_BOOTSTRAP", "localhost:9092")))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	record := &kgo.Record{
		Topic:   setting("CONTENT_TOPIC", "content.submitted"),
		Key:     []byte("forum/post-1"),
		Value:   event,
		Headers: []kgo.RecordHeader{{Key: "ce_type", Value: []byte("ContentSubmitted")}},
	}
	if err := client.ProduceSync(context.Background(), record).FirstErr(); err != nil {
		log.Fatal(err)
	}
}

func setting(name, otherwise string) string {
	if value, given := os.LookupEnv(name); given {
		return value
	}
	return otherwise
}
