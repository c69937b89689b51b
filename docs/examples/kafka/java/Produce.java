// Sends one piece of content with kafka-clients.
// Run it without a build: java -cp 'FOLDER-OF-JARS/*' Produce.java

import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

public class Produce {
    public static void main(String[] arguments) throws Exception {
        var settings = Map.<String, Object>of(
            "bootstrap.servers", System.getenv().getOrDefault("KAFKA_BOOTSTRAP", "localhost:9092"),
            "compression.type", "lz4");
        var topic = System.getenv().getOrDefault("CONTENT_TOPIC", "content.submitted");
        var event = """
            {
              "source": "forum",
              "content_id": "post-1",
              "revision": 1,
              "text": "Hello, is this still for sale?",
              "created_at": "2026-01-01T12:00:00Z"
            }""";
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            var message = new ProducerRecord<>(topic, "forum/post-1", event);
            message.headers().add("ce_type", "ContentSubmitted".getBytes(StandardCharsets.UTF_8));
            producer.send(message).get();
        }
    }
}
