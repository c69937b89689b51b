// Sends one piece of content with @platformatic/kafka.
import { Producer, compatibilityPartitioner, stringSerializers } from '@platformatic/kafka'

const { KAFKA_BOOTSTRAP = 'localhost:9092', CONTENT_TOPIC = 'content.submitted' } = process.env
const producer = new Producer({
  clientId: 'forum',
  bootstrapBrokers: [KAFKA_BOOTSTRAP],
  serializers: stringSerializers,
  partitioner: compatibilityPartitioner, // the partition that clients of other languages choose
  idempotent: true,
})
const event = {
  source: 'forum',
  content_id: 'post-1',
  revision: 1,
  text: 'Hello, is this still for sale?',
  created_at: '2026-01-01T12:00:00Z',
}
await producer.send({
  messages: [
    {
      topic: CONTENT_TOPIC,
      key: 'forum/post-1',
      value: JSON.stringify(event),
      headers: { ce_type: 'ContentSubmitted' },
    },
  ],
})
await producer.close()
